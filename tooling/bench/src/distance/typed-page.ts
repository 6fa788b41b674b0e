/** Opens the console of `text-guest.ts` in Chromium, types, and measures from each key to the picture that shows it. */
import type { Image } from '@oriel/console'
import type { Browser } from './page.ts'
import { textScreen } from './text-guest.ts'

export interface TypedPage extends AsyncDisposable {
  /** Presses a key of one character, or Enter, without awaiting its picture. */
  press(key: string): Promise<void>
  /**
   * Resolves when the page shows each key that was pressed, with what was seen since the last call.
   * @throws Error if a key is not shown within half a minute
   */
  untilShown(): Promise<Shown>
  /** Returns the pixels of the page's screen. */
  picture(): Promise<Image>
}

export interface Shown {
  /** The milliseconds from the event of each key in the page until its picture was drawn. */
  readonly keysMs: readonly number[]
  /** The longest time in which the first line did not change on the page, in milliseconds. */
  readonly stillMs: number
}

const PATIENCE_MS = 30_000
const WIDTH = textScreen.columns * textScreen.cellWidth

/** Opens the console at `url` in a new tab. Resolves once it shows the screen, with the guest's cursor in the last row. */
export async function openTyped(browser: Browser, url: string): Promise<TypedPage> {
  const page = await browser.newPage()
  page.setDefaultTimeout(PATIENCE_MS)
  await page.addInitScript(watch, textScreen)
  await page.goto(url)
  await page.locator(`canvas[width="${WIDTH}"]`).click()
  const typed: TypedPage = {
    press: (key) => page.keyboard.press(key),
    untilShown: () => page.evaluate((ms) => (globalThis as unknown as Watching).typed.untilShown(ms), PATIENCE_MS),
    async picture() {
      const { width, height, rgba } = await page.evaluate(() => (globalThis as unknown as Watching).typed.picture())
      return { width, height, rgba: Buffer.from(rgba, 'base64') }
    },
    [Symbol.asyncDispose]: () => page.close(),
  }
  for (let row = 0; row < textScreen.rows; row += 1) await typed.press('Enter')
  await typed.untilShown()
  return typed
}

interface Watching {
  readonly typed: {
    untilShown(timeoutMs: number): Promise<Shown>
    picture(): { readonly width: number; readonly height: number; readonly rgba: string }
  }
}

/** The parts of a browser that {@link watch} uses. */
interface Drawing {
  readonly canvas: { readonly isConnected: boolean; readonly width: number; readonly height: number }
  drawImage(...args: unknown[]): void
  getImageData(x: number, y: number, width: number, height: number): { readonly data: Uint8ClampedArray }
}

/**
 * Runs in the page, before its scripts. noVNC shows each update that it has decoded with one `drawImage` onto the canvas of
 * the page; the canvas that it decodes into is not part of the page.
 */
function watch({ columns, rows, cellWidth, cellHeight }: typeof textScreen): void {
  const page = globalThis as unknown as {
    CanvasRenderingContext2D: { readonly prototype: Drawing }
    typed: Watching['typed']
    addEventListener(type: 'keydown', listener: (event: { readonly key: string }) => void, capture: boolean): void
  }
  /** The keys that are not shown yet. */
  const awaited: { readonly column: number; readonly isInk: boolean; readonly pressedMs: number }[] = []
  let column = 0
  let keysMs: number[] = []
  let [firstLine, changedMs, stillMs] = ['', performance.now(), 0]
  let screen: Drawing | undefined
  let onShown = () => {}
  const { prototype } = page.CanvasRenderingContext2D
  const { drawImage } = prototype
  prototype.drawImage = function (this: Drawing, ...args) {
    drawImage.apply(this, args)
    if (this.canvas.isConnected && this.canvas.width === columns * cellWidth) look(this)
  }
  page.addEventListener('keydown', ({ key }) => expectPicture(key), true)
  page.typed = {
    async untilShown(timeoutMs) {
      if (awaited.length > 0) await allShown(timeoutMs)
      const shown = { keysMs, stillMs }
      keysMs = []
      ;[changedMs, stillMs] = [performance.now(), 0]
      return shown
    },
    picture() {
      const { width, height } = screen!.canvas
      const { data } = screen!.getImageData(0, 0, width, height)
      let text = ''
      for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192))
      return { width, height, rgba: btoa(text) }
    },
  }

  function allShown(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      onShown = resolve
      setTimeout(() => reject(new Error(`After ${timeoutMs} ms: ${awaited.length} keys are not shown`)), timeoutMs)
    })
  }

  /** A character appears in its cell; Enter scrolls, so that the last line is empty. */
  function expectPicture(key: string): void {
    const isEnter = key === 'Enter'
    if (isEnter) column = 0
    if (key !== ' ') awaited.push({ column, isInk: !isEnter, pressedMs: performance.now() })
    if (!isEnter) column += 1
  }

  function look(context: Drawing): void {
    screen = context
    const nowMs = performance.now()
    const line = context.getImageData(0, 0, cellWidth, cellHeight).data.join()
    stillMs = Math.max(stillMs, nowMs - changedMs)
    if (line !== firstLine) [firstLine, changedMs] = [line, nowMs]
    while (awaited.length > 0 && isShown(context, awaited[0]!)) keysMs.push(nowMs - awaited.shift()!.pressedMs)
    if (awaited.length === 0) onShown()
  }

  function isShown(context: Drawing, { column, isInk }: (typeof awaited)[number]): boolean {
    // The cursor is in the last three rows of a cell.
    const area = [column * cellWidth, (rows - 1) * cellHeight, cellWidth, cellHeight - 3] as const
    const { data } = context.getImageData(...area)
    return data.some((level, at) => at % 4 < 3 && level > 0) === isInk
  }
}
