/** Reads console pages in a real browser. */
import type { QemuGuest, RgbPicture } from '@oriel/testkit'
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { isDrawn, samePicture } from './pictures.ts'

/** Returns the canvas of the console. It may exist before it has the size of the screen. */
export const canvasOf = (page: Page) => page.locator('canvas').first()

/** Resolves with the unscaled pixels of the canvas once it has a size. */
export const pictureOf = (page: Page): Promise<RgbPicture> => untilPicture(page, () => true)

/**
 * Resolves with the first picture that `accepts` returns true for. Polls, because a canvas has no event for a change.
 */
export async function untilPicture(page: Page, accepts: (picture: RgbPicture) => boolean, timeoutMs = 30_000) {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const picture = await pixelsOf(page)
    if (picture && accepts(picture)) return picture
    if (performance.now() > deadline) throw new Error(`After ${timeoutMs} ms: no such picture on the page`)
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)))
  }
}

/** Returns the pixels of the canvas, or `undefined` if the page does not have the screen's size yet. */
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

/**
 * Clicks the button with this label on the home page. Resolves with the new tab once it has loaded the console's page.
 */
export async function openConsole(home: Page, label: string): Promise<Page> {
  return opened(home, () => home.getByRole('button', { name: label }).click())
}

/** Returns the console that `open` opens from the list in another tab. */
export async function opened(home: Page, open: () => Promise<void>): Promise<Page> {
  const opening = home.context().waitForEvent('page')
  await open()
  const console = await opening
  await console.waitForURL(/^http:/)
  return console
}

/**
 * Resolves with the picture of the page once the guest has the same one, it is not empty, and `accepts` returns true.
 */
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

/** Long, because emulated machines draw slowly. */
const PATIENT = { timeout: 60_000, interval: 50 }

/** Returns the text of a serial console's terminal. */
export async function terminalText(page: Page): Promise<string> {
  const rows = await page.locator('oriel-serial .xterm-rows > div').allTextContents()
  return rows.map((row) => row.replaceAll('\u00a0', ' ').trimEnd()).join('\n')
}

/** Resolves with the terminal's text once it matches. Polls, because a terminal has no event for its text. */
export async function untilTerminal(page: Page, pattern: RegExp, timeoutMs = 30_000): Promise<string> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const text = await terminalText(page)
    if (pattern.test(text)) return text
    if (performance.now() > deadline) throw new Error(`After ${timeoutMs} ms: ${pattern} is not in ${text}`)
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)))
  }
}

/** Collects violations of the page's Content-Security-Policy, and errors in its scripts, from now on. */
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

// The used parts of the DOM, because these tests are compiled for Node.
interface BrowserCanvas {
  readonly width: number
  readonly height: number
  getContext(kind: '2d'): {
    getImageData(x: number, y: number, w: number, h: number): { readonly data: Uint8ClampedArray }
  }
}
