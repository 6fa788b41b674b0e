import { describe, expect, test } from 'vitest'
import { startChromium } from '../src/chromium.ts'
import { decodePng, requires } from '../src/index.ts'

const { skip, reason } = requires('chromium')

describe.skipIf(skip)(`a real browser${reason}`, { timeout: 90_000 }, () => {
  test('shows a page, and stops when it is disposed', async () => {
    const browser = await startChromium()
    const page = await browser.newPage({ viewport: { width: 40, height: 20 } })
    await page.setContent('<body style="background: #123456">')
    const picture = decodePng(await page.screenshot())
    expect([picture.width, picture.height, ...picture.data.subarray(0, 3)]).toEqual([40, 20, 0x12, 0x34, 0x56])
    await browser[Symbol.asyncDispose]()
    expect(browser.isConnected()).toBe(false)
  })
})
