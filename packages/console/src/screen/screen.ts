/// <reference lib="esnext.disposable" preserve="true" />
/** A machine's screen, keyboard and pointer. */
import { ConnectionError, type OrielError } from '@oriel/sdk'
import { Connection } from '../connection/connection.ts'
import type { KeyStroke } from '../keyboard/stroke.ts'
import { shown } from '../pattern.ts'
import type { Leds } from '../rfb/client.ts'
import type { Cursor } from '../rfb/cursor.ts'
import { loadGlyphs } from '../text/load-glyphs.ts'
import type { ScreenText } from '../text/read-text.ts'
import type { Framebuffer } from './framebuffer.ts'
import type { Image, Rectangle, Screenshot } from './image.ts'
import { Keyboard, type TypeOptions } from './keyboard.ts'
import { Life } from './life.ts'
import { countDifferences, decodePng, takeScreenshot } from './picture.ts'
import { type ClickOptions, type Direction, type Point, Pointer } from './pointer.ts'
import type { ConnectScreen, Session, SessionEvents } from './session.ts'
import { Signal } from './signal.ts'
import { Stillness } from './still.ts'
import { type FoundText, findText, type ReadingOptions, TextReader } from './text-reader.ts'
import { type Change, changesOf } from './updates.ts'
import { type WaitOptions, type Watched, waitUntil } from './wait.ts'

export interface TextWaitOptions extends WaitOptions, ReadingOptions {}

export interface StillOptions extends WaitOptions {
  /** For how long the picture must not change. Default: 1000. */
  readonly quietMs?: number
  /** How many pixels may change meanwhile. Default: 256, so that the blinking cursor of a text console does not count. */
  readonly maxPixels?: number
  /** Areas whose changes do not count. */
  readonly mask?: readonly Rectangle[]
}

export interface PictureOptions extends WaitOptions {
  /** The largest share of pixels that may differ, 0 to 1. Default: 0. */
  readonly tolerance?: number
  /** The largest difference in a channel, 0 to 255, with which pixels are the same. Default: 0. */
  readonly channelTolerance?: number
  /** Areas that are not compared. So are fully transparent pixels of the picture. */
  readonly mask?: readonly Rectangle[]
}

/**
 * The screen of a machine. Its methods for input return once the input is sent; that the guest has acted on it shows on the
 * screen. After its end they throw the error with which it ended.
 */
export class Screen implements AsyncDisposable {
  readonly #framebuffer: Framebuffer
  readonly #life = new Life()
  readonly #keyboard: Keyboard
  readonly #pointer: Pointer
  readonly #watched: Watched
  readonly #textReader: TextReader
  readonly #connection: Connection<Session, SessionEvents>
  #name = ''
  #cursor: Cursor | undefined
  #clipboard: string | undefined

  private constructor(framebuffer: Framebuffer, connect: ConnectScreen, reconnectMs: number) {
    this.#framebuffer = framebuffer
    this.#textReader = new TextReader(framebuffer)
    this.#keyboard = new Keyboard(this.#life, {
      leds: () => this.leds,
      open: () => this.#rfb,
    })
    this.#pointer = new Pointer(framebuffer, (buttons, x, y) => this.#rfb.sendPointer(buttons, x, y))
    this.#watched = {
      life: this.#life,
      hurry: () => this.#connection.session?.rfb.hurry(),
      screenshot: () => takeScreenshot(framebuffer),
      text: () => this.#textReader.previous,
      lost: () => this.#connection.lost,
    }
    this.#connection = new Connection(connect, reconnectMs, {
      onInit: (name) => {
        this.#name = name
      },
      onUpdate: (update) => {
        this.#connection.recover()
        this.#life.onUpdate.emit(update)
      },
      onCursor: (cursor) => {
        this.#cursor = cursor
      },
      onBell: () => {},
      onClipboard: (text) => {
        this.#clipboard = text
      },
      onEnd: (error) => this.#life.finish(error),
    })
  }

  /** Resolves with the screen of a connection. For programs there is `openScreen`. @throws what `connect` throws */
  static async open(framebuffer: Framebuffer, connect: ConnectScreen, reconnectMs: number): Promise<Screen> {
    const screen = new Screen(framebuffer, connect, reconnectMs)
    await screen.#connection.open()
    return screen
  }

  /** In pixels. Changes with the guest's mode. */
  get width(): number {
    return this.#framebuffer.width
  }
  /** In pixels. */
  get height(): number {
    return this.#framebuffer.height
  }
  /** The name of the desktop, such as `QEMU (web-1)`. */
  get name(): string {
    return this.#name
  }
  /** The pointer's picture, if the guest has set one. A screenshot does not contain it. */
  get cursor(): Cursor | undefined {
    return this.#cursor
  }
  /** The lights of the guest's keyboard, if the server sends them, as QEMU does. */
  get leds(): Leds | undefined {
    return this.#connection.session?.rfb.leds
  }
  /** The text that the guest, or another client, has copied last. The guest needs an agent for that. */
  get clipboard(): string | undefined {
    return this.#clipboard
  }
  /** Resolves at the end: with an error if the connection ended by itself, with `undefined` after {@link Screen.close}. */
  get ended(): Promise<OrielError | undefined> {
    return this.#life.ended
  }

  /** Copies the picture that is on the screen now. */
  async screenshot(): Promise<Screenshot> {
    if (this.#life.failure) throw this.#life.failure
    return takeScreenshot(this.#framebuffer)
  }

  /** Reads the text on the screen, as `readText` does. */
  async text(options: ReadingOptions = {}): Promise<ScreenText> {
    if (this.#life.failure) throw this.#life.failure
    return this.#textReader.read(options)
  }

  /** Yields what changes from now on, and ends with the screen. A slow reader gets several updates as one. */
  updates(): AsyncGenerator<Change, void> {
    return changesOf(this.#life)
  }

  /**
   * Types text on the keyboard layout that the guest has, US by default, no faster than the guest takes it. Resolves when it
   * has, as the lights of its keyboard show: for that a text longer than about five characters presses Num Lock in between,
   * and leaves it as it was. If the guest does not set the lights, the pace is about 30 characters a second.
   * Caps Lock must be off. What is typed and pressed at the same time waits for each other.
   * @throws UntypableError before the first key, for a text with characters that the layout lacks; TypeError for a layout that
   * does not exist; GuestStalled; the reason of the signal
   */
  async type(text: string, options?: TypeOptions): Promise<void> {
    await this.#keyboard.type(text, options)
  }

  /**
   * Presses keys one after the other: names like `Escape`, `F12` or `ArrowUp`, characters, and combinations like
   * `Control+Alt+Delete`. See `planKeys`.
   * @throws TypeError if there is no key of a name, before any is pressed
   */
  async press(...keys: string[]): Promise<void> {
    await this.#keyboard.press(keys)
  }

  /** Sends changes of keys at once, as `planKeys` and `planText` return them. A guest that does not keep up loses some. */
  async sendKeys(strokes: Iterable<KeyStroke>): Promise<void> {
    for (const stroke of strokes) this.#rfb.sendKey(stroke)
  }

  /** Moves the pointer. @throws RangeError for a point that is not on the screen, as do the other methods with points */
  async move(x: number, y: number): Promise<void> {
    this.#pointer.move(x, y)
  }

  /** Moves the pointer, and presses and releases a button. */
  async click(x: number, y: number, options?: ClickOptions): Promise<void> {
    this.#pointer.click(x, y, options)
  }

  /** Presses a button at `from` and releases it at `to`. */
  async drag(from: Point, to: Point, options?: Pick<ClickOptions, 'button'>): Promise<void> {
    this.#pointer.drag(from, to, options)
  }

  /** Turns the wheel where the pointer is. @param steps default: 1 */
  async scroll(direction: Direction, steps = 1): Promise<void> {
    this.#pointer.scroll(direction, steps)
  }

  /** Puts text into the clipboard that the guest's agent reads. */
  async setClipboard(text: string): Promise<void> {
    this.#rfb.setClipboard(text)
  }

  /**
   * Calls `predicate` with the picture now and whenever it changes, until it returns something other than `undefined`, `null`
   * or `false`, and resolves with that.
   * @throws WaitTimeout with the last screenshot
   */
  async waitFor<T>(
    predicate: (picture: Screenshot) => T | undefined | null | false | Promise<T | undefined | null | false>,
    options?: WaitOptions,
  ): Promise<T> {
    const look = async () => {
      const seen = await predicate(takeScreenshot(this.#framebuffer))
      return seen === false || seen === null ? undefined : seen
    }
    return waitUntil(this.#watched, 'a picture that fulfils the predicate', look, options)
  }

  /**
   * Waits until the screen shows a text, which is searched in its lines with `\n` between them. Lines have no
   * blanks at their ends, so look for `/login:$/m`. A guest breaks long lines where its screen ends.
   * @param pattern a part of the text, or a regular expression. The flags `g` and `y` are ignored
   * @throws WaitTimeout with the last text and screenshot
   */
  async waitForText(pattern: RegExp | string, options: TextWaitOptions = {}): Promise<FoundText> {
    const table = options.glyphs ?? (await loadGlyphs(options))
    const read = this.#textReader.reader(table, options.recognize)
    const look = () => {
      const text = read()
      return text instanceof Promise ? text.then((read) => findText(read, pattern)) : findText(text, pattern)
    }
    return waitUntil(this.#watched, shown(pattern), look, options)
  }

  /** Waits until the picture has not changed for a while. @throws WaitTimeout */
  async waitForStill(options: StillOptions = {}): Promise<Screenshot> {
    const { quietMs = 1000, maxPixels = 256, mask = [], ...rest } = options
    const stillness = new Stillness(this.#framebuffer, maxPixels, { perChannel: 0, mask })
    const quiet = new Signal<void>()
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = () => {
      clearTimeout(timer)
      // Without a connection the picture stays, whatever the machine does. The next connection begins with an update.
      if (this.#connection.lost) return void stillness.restart()
      stillness.look(this.#framebuffer)
      const leftMs = quietMs - stillness.quietMs
      if (leftMs <= 0) return takeScreenshot(this.#framebuffer)
      timer = setTimeout(() => quiet.emit(), leftMs)
      return undefined
    }
    const goal = `the same picture for ${quietMs} ms`
    return waitUntil(this.#watched, goal, look, rest, quiet).finally(() => clearTimeout(timer))
  }

  /**
   * Waits until the screen shows a picture of its size.
   * @param picture a PNG or an image
   * @throws WaitTimeout
   */
  async waitForPicture(picture: Uint8Array | Image, options: PictureOptions = {}): Promise<Screenshot> {
    const { tolerance = 0, channelTolerance: perChannel = 0, mask = [], ...rest } = options
    const expected = picture instanceof Uint8Array ? decodePng(picture) : picture
    const limit = Math.floor(tolerance * expected.width * expected.height)
    const look = () =>
      countDifferences(expected, this.#framebuffer, limit, { perChannel, mask }) <= limit
        ? takeScreenshot(this.#framebuffer)
        : undefined
    return waitUntil(this.#watched, 'the picture', look, rest)
  }

  /** Closes the console. Waits in progress are rejected. */
  async close(): Promise<void> {
    this.#connection.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #rfb() {
    if (this.#life.failure) throw this.#life.failure
    if (!this.#connection.session) throw new ConnectionError('network', 'The console is being opened again')
    return this.#connection.session.rfb
  }
}
