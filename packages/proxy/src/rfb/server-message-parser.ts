/** Finds where the messages of an RFB server begin and end, from ServerInit on. */
import type { PixelFormat } from './wire/pixel-format.ts'
import { MARKER, PAST_MARKER, type Reading, UnknownSize } from './wire/reading.ts'
import { type StreamContext, serverInit, serverMessages } from './wire/server-messages.ts'

/** `between`: the next byte is the type of a message. `unknown`: nothing says where the next message begins. */
export type ServerParserState = 'ServerInit' | 'between' | 'message' | 'unknown'

const NOTHING = Buffer.alloc(0)
/** The steps for one piece, beyond which it is not parsed: a server could send bytes that cost much and mean nothing. */
const MAX_STEPS = 100_000

/** Parses pieces of any size. Keeps at most a header and skips the other bytes, so a message may announce any size. */
export class ServerMessageParser implements StreamContext {
  /** The pixel format of the next rectangles. Set by ServerInit, and by the reader of SetPixelFormat. */
  format: PixelFormat = { bytesPerPixel: 0, tightBytes: undefined }
  hasExtendedMouseButtons = false
  #state: ServerParserState = 'ServerInit'
  #type: number | undefined
  readonly #stream = this.#read()
  /** As of {@link Reading}. */
  #need = 0
  #held = NOTHING
  /** The steps since the beginning of the piece. */
  #steps = 0

  constructor() {
    this.#need = this.#stream.next().value
  }

  get state(): ServerParserState {
    return this.#state
  }

  /** The type of the message that the last byte belongs to. `undefined`: ServerInit. */
  get type(): number | undefined {
    return this.#type
  }

  /**
   * Parses a piece from `at` up to the end of one message. Returns the offset of the first byte that it did not parse. A piece
   * begins with `at` 0.
   */
  advance(bytes: Buffer, at: number): number {
    if (at === 0) this.#steps = 0
    let next = at
    do next = this.#step(bytes, next)
    while (next < bytes.length && this.#state !== 'between')
    return next
  }

  #step(bytes: Buffer, at: number): number {
    this.#steps += 1
    if (this.#steps > MAX_STEPS) this.#state = 'unknown'
    if (this.#state === 'unknown') return bytes.length
    if (this.#need === PAST_MARKER) return this.#passMarker(bytes, at)
    return this.#need < 0 ? this.#skip(bytes, at) : this.#take(bytes, at)
  }

  #passMarker(bytes: Buffer, at: number): number {
    const found = bytes.indexOf(MARKER, at)
    if (found < 0) return bytes.length
    this.#resume(NOTHING)
    return found + 1
  }

  #skip(bytes: Buffer, at: number): number {
    const skipped = Math.min(-this.#need, bytes.length - at)
    this.#need += skipped
    if (this.#need === 0) this.#resume(NOTHING)
    return at + skipped
  }

  #take(bytes: Buffer, at: number): number {
    const end = at + this.#need - this.#held.length
    const piece = bytes.subarray(at, end)
    if (end > bytes.length) this.#held = Buffer.concat([this.#held, piece])
    else this.#resume(this.#held.length === 0 ? piece : this.#takeHeld(piece))
    return Math.min(end, bytes.length)
  }

  #takeHeld(piece: Buffer): Buffer {
    const whole = Buffer.concat([this.#held, piece])
    this.#held = NOTHING
    return whole
  }

  #resume(bytes: Buffer): void {
    try {
      this.#need = this.#stream.next(bytes).value
    } catch (error) {
      if (!(error instanceof UnknownSize)) throw error
      this.#state = 'unknown'
    }
  }

  *#read(): Reading<never> {
    this.format = yield* serverInit()
    for (;;) {
      this.#state = 'between'
      const type = (yield 1)[0]!
      this.#state = 'message'
      this.#type = type
      const message = serverMessages[type]
      if (!message) throw new UnknownSize(`a message of the type ${type}`)
      yield* message(this)
    }
  }
}
