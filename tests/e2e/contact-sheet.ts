/**
 * `npm run sheet`: takes a picture of each page in each state, in both colour schemes, on a desktop and on a phone, and shows all of
 * them in one page, `contact-sheet/index.html`, which is not part of the repository.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startChromium } from '@oriel/testkit/chromium'
import { pageStates, startPages } from './parts/page-states.ts'

const folder = fileURLToPath(new URL('../../contact-sheet/', import.meta.url))
const devices = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 },
}
const schemes = ['light', 'dark'] as const

await rm(folder, { recursive: true, force: true })
await mkdir(folder)
await using browser = await startChromium()
await using pages = await startPages()
const sections: string[] = []
for (const [device, options] of Object.entries(devices))
  for (const colorScheme of schemes) sections.push(await picturesOf(device, { ...options, colorScheme }))
await writeFile(join(folder, 'index.html'), sheet(sections))
process.stdout.write(`${join(folder, 'index.html')}\n`)

async function picturesOf(device: string, options: (typeof devices)['desktop'] & { colorScheme: 'light' | 'dark' }) {
  const { colorScheme, viewport } = options
  const context = await browser.newContext({ ...options, reducedMotion: 'reduce' })
  const figures: string[] = []
  for await (const { name, page } of pageStates(context, pages.home)) {
    const file = `${device} ${colorScheme} ${name}.png`.replaceAll(' ', '-')
    await page.screenshot({ path: join(folder, file) })
    figures.push(`<figure><img src="${file}" width="${viewport.width / 2}"><figcaption>${name}</figcaption></figure>`)
  }
  await context.close()
  return `<h2>${device}, ${colorScheme}</h2><div>${figures.join('')}</div>`
}

function sheet(sections: readonly string[]): string {
  const style = 'body{font-family:sans-serif;background:#888}div{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0}'
  return `<!doctype html><meta charset="utf-8"><title>Contact sheet</title><style>${style}</style>${sections.join('')}\n`
}
