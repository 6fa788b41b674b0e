/** Opens a console's page in Chromium, counts the pictures that it draws, and measures from a key to the picture it causes. */
import type { startChromium } from '@oriel/testkit/chromium'
import { squares } from './guest.ts'

export type Browser = Awaited<ReturnType<typeof startChromium>>

export interface WatchedPage extends AsyncDisposable {
  /** Returns how many different pictures the page has drawn, and the page's time in milliseconds. */
  drawn(): Promise<{ readonly pictures: number; readonly atMs: number }>
  /** Presses a key. Resolves with the milliseconds from its event in the page until its picture is drawn. */
  pressKey(): Promise<number>
}

const PATIENCE_MS = 30_000

/** Opens the console at `url` in a new tab. Resolves once the page shows the guest of `guest.ts`. */
export async function openWatched(browser: Browser, url: string): Promise<WatchedPage> {
  const page = await browser.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  await page.addInitScript(watch, squares)
  await page.goto(url)
  await page.locator('canvas[width="400"]').click()
  await page.evaluate(() => (globalThis as unknown as Watching).watched.shown)
  return {
    drawn: () => page.evaluate(() => (globalThis as unknown as Watching).watched.drawn()),
    async pressKey() {
      await page.evaluate(() => (globalThis as unknown as Watching).watched.expectKey())
      await page.keyboard.press('a')
      return page.evaluate((ms) => (globalThis as unknown as Watching).watched.keyPicture(ms), PATIENCE_MS)
    },
    [Symbol.asyncDispose]: () => page.close(),
  }
}

/**
 * Opens the console at `url` in a new tab without a cache. Resolves with the milliseconds from the navigation until the page has drawn
 * the screen of the guest of `guest.ts`.
 */
export async function firstScreenMs(browser: Browser, url: string): Promise<number> {
  await using page = await browser.newPage()
  await page.addInitScript(watch, squares)
  await page.goto(url, { timeout: PATIENCE_MS })
  return await page.evaluate(() => (globalThis as unknown as Watching).watched.shown)
}

interface Watching {
  readonly watched: {
    /** When the page has first drawn the screen, in its own time, which begins with the navigation. */
    readonly shown: Promise<number>
    drawn(): { readonly pictures: number; readonly atMs: number }
    expectKey(): void
    keyPicture(timeoutMs: number): Promise<number>
  }
}

/** The parts of a browser that {@link watch} uses. */
interface Drawing {
  readonly canvas: { readonly isConnected: boolean; readonly width: number }
  drawImage(...args: unknown[]): void
  getImageData(x: number, y: number, width: number, height: number): { readonly data: Uint8ClampedArray }
}

/**
 * Runs in the page, before its scripts. noVNC shows each update that it has decoded with one `drawImage` onto the canvas of
 * the page; the canvas that it decodes into is not part of the page.
 */
function watch({ picture, key }: typeof squares): void {
  const page = globalThis as unknown as {
    CanvasRenderingContext2D: { readonly prototype: Drawing }
    watched: Watching['watched']
    addEventListener(type: 'keydown', listener: () => void, capture: boolean): void
  }
  const shown = Promise.withResolvers<number>()
  let [pictures, lastPicture, lastKey] = [0, -1, -1]
  let pressedAtMs: number | undefined
  let answer = Promise.withResolvers<number>()
  const { prototype } = page.CanvasRenderingContext2D
  const { drawImage } = prototype
  prototype.drawImage = function (this: Drawing, ...args) {
    drawImage.apply(this, args)
    if (this.canvas.isConnected && this.canvas.width === 400) look(this)
  }
  page.addEventListener('keydown', press, true)
  page.watched = {
    shown: shown.promise,
    drawn: () => ({ pictures, atMs: performance.now() }),
    expectKey() {
      answer = Promise.withResolvers()
    },
    keyPicture: (timeoutMs) => {
      const { promise, reject } = answer
      setTimeout(() => reject(new Error(`After ${timeoutMs} ms: the key shows no picture`)), timeoutMs)
      return promise
    },
  }

  function press(): void {
    pressedAtMs = performance.now()
  }

  function look(context: Drawing): void {
    const [number, colour] = [picture, key].map(({ x, y }) => {
      const [red = 0, green = 0, blue = 0] = context.getImageData(x, y, 1, 1).data
      return (red << 16) | (green << 8) | blue
    })
    // noVNC also draws its canvas before the first update, all in black.
    if (number === 0) return
    if (number !== lastPicture) pictures += 1
    if (colour !== lastKey && pressedAtMs !== undefined) answer.resolve(performance.now() - pressedAtMs)
    ;[lastPicture, lastKey] = [number!, colour!]
    shown.resolve(performance.now())
  }
}
