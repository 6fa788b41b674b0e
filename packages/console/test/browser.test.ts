/** The package in a real browser. */
import { join } from 'node:path'
import { requires } from '@oriel/testkit'
import { startChromium } from '@oriel/testkit/chromium'
import { rolldown } from 'rolldown'
import { describe, expect, it } from 'vitest'
import { startWebServer } from './parts/web-server.ts'

const chromium = requires('chromium')

describe.skipIf(chromium.skip)(`@oriel/console in Chromium${chromium.reason}`, () => {
  it('opens a screen, reads its pixels as PNG, and sees its end', async () => {
    await using server = await startWebServer({ size: [3, 1], picture: 'rgb', module: await bundled() })
    await using browser = await startChromium()
    const page = await browser.newPage()
    await page.goto(server.url)
    const program = `(async () => {
      const { openScreen, decodePng } = await import('/console.mjs')
      const screen = await openScreen({ url: ${JSON.stringify(server.url)} })
      const { width, rgba } = decodePng((await screen.screenshot()).png())
      await screen.press('Escape')
      const end = await screen.ended
      return { width, rgba: [...rgba], end: end.message, remedy: end.remedy }
    })()`
    const seen = page.evaluate(program)
    const viewer = await server.viewer()
    await viewer.untilSent('040100000000ff1b')
    viewer.socket.close(4008)
    expect(await seen).toEqual({
      ...{ width: 3, rgba: [255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255] },
      ...{ end: 'An operator ended this session.', remedy: 'new-console' },
    })
  })
})

async function bundled(): Promise<string> {
  const input = join(import.meta.dirname, '../src/index.ts')
  const conditionNames = ['@oriel/source', 'import', 'default']
  const bundle = await rolldown({ input, platform: 'browser', resolve: { conditionNames } })
  const { output } = await bundle.generate({ format: 'esm', codeSplitting: false })
  await bundle.close()
  return output[0].code
}
