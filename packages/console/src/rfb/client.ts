/** A client of RFB without input and output of its own: it is given bytes, and gives bytes to send. */
import { ProtocolError } from '../errors.ts'
import type { KeyStroke } from '../keyboard/stroke.ts'
import type { Framebuffer } from '../screen/framebuffer.ts'
import type { Rectangle } from '../screen/image.ts'
import { keyEvent, pointerEvent, qemuKeyEvent, setEncodings, setPixelFormat, updateRequest } from './client-messages.ts'
import { Clipboard, MAX_CLIPBOARD_BYTES } from './clipboard.ts'
import { type Cursor, readCursor } from './cursor.ts'
import { createDecoders, type Encoding, numberOf } from './encodings/index.ts'
import { handshake } from './handshake.ts'
import { Feed, type Reading, readAtMost, skip } from './wire/feed.ts'
import { i32, u16 } from './wire/integers.ts'

/** Pseudo-encodings of RFC 6143 section 7.8 and the RFB community specification. */
const pseudo = {
  desktopSize: -223,
  lastRect: -224,
  cursor: -239,
  qemuKeyEvent: -258,
  qemuLedState: -261,
  extendedDesktopSize: -308,
  extendedClipboard: 0xc0a1e5ce | 0,
} as const

export interface RfbOptions {
  readonly framebuffer: Framebuffer
  /** The encodings to request, the preferred one first. */
  readonly encodings: readonly Encoding[]
  /** Whether other clients may stay connected. */
  readonly shared: boolean
}

/** One FramebufferUpdate. */
export interface Update {
  /** The areas whose pixels were drawn, in order. They may overlap. */
  readonly damage: readonly Rectangle[]
  /** Whether the screen has taken another size, and is black until the next update. */
  readonly isResized: boolean
}

export interface RfbEvents {
  send(bytes: Uint8Array): void
  onInit(name: string): void
  onUpdate(update: Update): void
  onCursor(cursor: Cursor | undefined): void
  onBell(): void
  onClipboard(text: string): void
}

/** The state of a keyboard's lights, as bits. */
export interface Leds {
  readonly scrollLock: boolean
  readonly numLock: boolean
  readonly capsLock: boolean
}

export class RfbClient {
  readonly #options: RfbOptions
  readonly #events: RfbEvents
  readonly #decoders = createDecoders()
  readonly #clipboard: Clipboard
  readonly #feed: Feed
  #state = 'version'
  #isInitialised = false
  #hasQemuKeys = false
  #leds: Leds | undefined

  constructor(options: RfbOptions, events: RfbEvents) {
    this.#options = options
    this.#events = events
    this.#clipboard = new Clipboard({ send: events.send, onText: events.onClipboard })
    this.#feed = new Feed(this.#session())
  }

  /** What the client reads now: a step of the handshake, or a message of the server. */
  get state(): string {
    const { width, height } = this.#options.framebuffer
    return this.#isInitialised && width * height === 0 ? `a size other than ${width}x${height}` : this.#state
  }
  /** Whether keys are sent by their scancodes, so that the layout of the keyboard in the guest applies. */
  get hasQemuKeys(): boolean {
    return this.#hasQemuKeys
  }
  /** `undefined` if the server does not send them. */
  get leds(): Leds | undefined {
    return this.#leds
  }

  /** Takes bytes of the server. @throws ProtocolError for malformed ones, after which the client is of no use */
  receive(bytes: Uint8Array): void {
    this.#feed.push(bytes)
  }

  sendKey(stroke: KeyStroke): void {
    this.#events.send(this.#hasQemuKeys && stroke.scancode !== 0 ? qemuKeyEvent(stroke) : keyEvent(stroke))
  }

  /** @param buttons a bit per button that is down */
  sendPointer(buttons: number, x: number, y: number): void {
    this.#events.send(pointerEvent(buttons, x, y))
  }

  setClipboard(text: string): void {
    this.#clipboard.set(text)
  }

  /** Requests pixels although they have not changed. */
  refresh(area: Rectangle): void {
    this.#events.send(updateRequest(false, area))
  }

  /**
   * Has QEMU look for changes often. QEMU compares its pictures ever more rarely while nothing changes, up to every three
   * seconds, and looks at once again after any message but a request. Other servers notice changes when they happen.
   */
  hurry(): void {
    if (this.#hasQemuKeys && this.#clipboard.isExtended) this.#clipboard.announce()
  }

  *#session(): Reading<void> {
    const { shared, framebuffer } = this.#options
    const onState = (state: string) => {
      this.#state = state
    }
    const { width, height, name } = yield* handshake(shared, { send: this.#events.send, onState })
    framebuffer.resize(width, height)
    this.#isInitialised = true
    this.#events.onInit(name)
    this.#events.send(setPixelFormat())
    this.#events.send(setEncodings([...this.#options.encodings.map(numberOf), ...Object.values(pseudo)]))
    this.refresh(this.#screen())
    for (;;) {
      this.#state = 'message'
      yield* this.#message((yield 1)[0]!)
    }
  }

  *#message(type: number): Reading<void> {
    if (type === 0) return yield* this.#update()
    if (type === 1) return yield* this.#colourMap()
    if (type === 2) return this.#events.onBell()
    if (type === 3) return yield* this.#cutText()
    throw new ProtocolError(`The server sent a message of the unknown type ${type}`)
  }

  *#update(): Reading<void> {
    const damage: Rectangle[] = []
    const count = u16(yield 3, 1)
    let isResized = false
    for (let i = 0; i < count; i += 1) {
      const header = yield 12
      const [x, y, width, height] = [u16(header, 0), u16(header, 2), u16(header, 4), u16(header, 6)]
      const encoding = i32(header, 8)
      if (encoding === pseudo.lastRect) break
      const decode = this.#decoders.get(encoding)
      if (decode === undefined)
        isResized = (yield* this.#pseudoRectangle(encoding, { x, y, width, height })) || isResized
      else damage.push(yield* this.#rectangle(encoding, { x, y, width, height }))
    }
    this.#events.send(updateRequest(!isResized, this.#screen()))
    this.#events.onUpdate({ damage, isResized })
  }

  *#rectangle(encoding: number, area: Rectangle): Reading<Rectangle> {
    this.#state = `a rectangle of encoding ${encoding}`
    if (!this.#options.framebuffer.contains(area)) throw new ProtocolError('A rectangle leaves the screen')
    yield* this.#decoders.get(encoding)!(area, this.#options.framebuffer)
    return area
  }

  /** Returns whether the screen has taken another size. */
  *#pseudoRectangle(encoding: number, area: Rectangle): Reading<boolean> {
    this.#state = `a rectangle of encoding ${encoding}`
    if (encoding === pseudo.cursor) this.#events.onCursor(yield* readCursor(area))
    else if (encoding === pseudo.qemuKeyEvent) this.#hasQemuKeys = true
    else if (encoding === pseudo.qemuLedState) this.#leds = ledsOf((yield 1)[0]!)
    else if (encoding === pseudo.extendedDesktopSize) yield* skip((yield 4)[0]! * 16)
    else if (encoding !== pseudo.desktopSize) {
      throw new ProtocolError(`The server sent a rectangle of the unknown encoding ${encoding}`)
    }
    return this.#isResize(encoding, area) && this.#resize(area)
  }

  /** ExtendedDesktopSize has a status in place of y if the client wanted the size, which this one never does. */
  #isResize(encoding: number, { x, y }: Rectangle): boolean {
    return encoding === pseudo.desktopSize || (encoding === pseudo.extendedDesktopSize && (x !== 1 || y === 0))
  }

  #resize({ width, height }: Rectangle): boolean {
    const { framebuffer } = this.#options
    if (width === framebuffer.width && height === framebuffer.height) return false
    // A server without a picture yet may begin with an empty screen, but has no reason to return to it.
    if (width * height === 0) throw new ProtocolError(`The server announced a screen of ${width}x${height} pixels`)
    framebuffer.resize(width, height)
    return true
  }

  /** Colours of a colour map, which a client with true colour does not use. */
  *#colourMap(): Reading<void> {
    yield* skip(u16(yield 5, 3) * 6)
  }

  *#cutText(): Reading<void> {
    const length = i32(yield 7, 3)
    const content = yield* readAtMost(Math.abs(length), MAX_CLIPBOARD_BYTES)
    if (length >= 0) this.#clipboard.takePlain(content)
    else if (content.length < 4) throw new ProtocolError('The server sent a clipboard message without flags')
    else if (content.length === -length) this.#clipboard.take(content)
  }

  #screen(): Rectangle {
    const { width, height } = this.#options.framebuffer
    return { x: 0, y: 0, width, height }
  }
}

const ledsOf = (bits: number): Leds => ({
  scrollLock: (bits & 1) !== 0,
  numLock: (bits & 2) !== 0,
  capsLock: (bits & 4) !== 0,
})
