/** Console pages as a person sees them, in a real browser. */
import type { QemuGuest, RgbPicture } from '@oriel/testkit'
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { isDrawn, samePicture } from './pictures.ts'

/** The canvas on which the console is drawn; it may be there before it has the size of a screen. */
export const canvasOf = (page: Page) => page.locator('canvas').first()

/** The canvas's pixels, without what the page draws around or scales, once it has any. */
export const pictureOf = (page: Page): Promise<RgbPicture> => untilPicture(page, () => true)

/** The first picture that `accepts` takes; a canvas has no event for a changed picture, so each frame is looked at. */
export async function untilPicture(page: Page, accepts: (picture: RgbPicture) => boolean, timeoutMs = 30_000) {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const picture = await pixelsOf(page)
    if (picture && accepts(picture)) return picture
    if (performance.now() > deadline) throw new Error(`After ${timeoutMs} ms: no such picture on the page`)
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)))
  }
}

/** What is on the canvas now; undefined while the page has not yet heard the screen's size. */
async function pixelsOf(page: Page): Promise<RgbPicture | undefined> {
  const { width, height, rgba } = await canvasOf(page).evaluate((element) => {
    const canvas = element as unknown as BrowserCanvas
    const { width, height } = canvas
    if (width === 0 || height === 0) return { width, height, rgba: '' }
    const pixels = canvas.getContext('2d').getImageData(0, 0, width, height)
    let text = ''
    for (let i = 0; i < pixels.data.length; i += 8192) text += String.fromCharCode(...pixels.data.subarray(i, i + 8192))
    return { width, height, rgba: btoa(text) }
  })
  return rgba === '' ? undefined : { width, height, data: withoutAlpha(Buffer.from(rgba, 'base64')) }
}

/** Clicks the button with this label on the home page; the tab that it opens, once the console's page is in it. */
export async function openConsole(home: Page, label: string): Promise<Page> {
  const opened = home.context().waitForEvent('page')
  await home.getByRole('button', { name: label }).click()
  const console = await opened
  await console.waitForURL(/^http:/)
  return console
}

/** What the page and the guest itself both show, as soon as that is the same, is drawn, and `accepts` takes it. */
export async function untilShows(
  page: Page,
  guest: QemuGuest,
  accepts: (picture: RgbPicture) => boolean = () => true,
): Promise<RgbPicture> {
  let shown: RgbPicture | undefined
  await expect
    .poll(async () => {
      const [onPage, own] = [await pictureOf(page), await guest.screendump()]
      shown = own
      return isDrawn(own) && accepts(own) && samePicture(onPage, own)
    }, PATIENT)
    .toBe(true)
  return shown!
}

/** An emulated machine draws slowly, and more slowly beside others. */
const PATIENT = { timeout: 60_000, interval: 50 }

/** What the terminal of a serial console shows, line by line. */
export async function terminalText(page: Page): Promise<string> {
  const rows = await page.locator('oriel-serial .xterm-rows > div').allTextContents()
  return rows.map((row) => row.replaceAll('\u00a0', ' ').trimEnd()).join('\n')
}

/** The terminal's text once it matches. It is asked for again and again, since a terminal has no event for its text. */
export async function untilTerminal(page: Page, pattern: RegExp, timeoutMs = 30_000): Promise<string> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const text = await terminalText(page)
    if (pattern.test(text)) return text
    if (performance.now() > deadline) throw new Error(`After ${timeoutMs} ms: ${pattern} is not in ${text}`)
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)))
  }
}

/** Everything that the page's own rules forbid, or that fails in it, from now on. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  return complaints
}

function withoutAlpha(rgba: Buffer): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3)
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) rgb.set(rgba.subarray(from, from + 3), to)
  return rgb
}

// What is used of the DOM, since these tests are compiled for Node.
interface BrowserCanvas {
  readonly width: number
  readonly height: number
  getContext(kind: '2d'): {
    getImageData(x: number, y: number, w: number, h: number): { readonly data: Uint8ClampedArray }
  }
}
