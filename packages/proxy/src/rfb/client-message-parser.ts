/** Finds where the messages of an RFB client begin and end. */
import { type ClientMessage, clientMessages, type Negotiated } from './wire/client-messages.ts'

/** `between`: the next byte is the type of a message. `unknown`: nothing says where the next message begins. */
export type ParserState = 'ClientInit' | 'between' | 'header' | 'body' | 'unknown'

const NOTHING = Buffer.alloc(0)

/** Parses pieces of any size. Keeps at most a header and counts the other bytes, so a message may announce any size. */
export class ClientMessageParser implements Negotiated {
  /** Set by the reader of SetEncodings. */
  extendedMouseButtons = false
  /** Set by the reader of the server's messages. */
  serverHasMouseButtons = false
  #state: ParserState = 'ClientInit'
  #message: ClientMessage | undefined
  #held = NOTHING
  /** The bytes that are missing until the message's end. */
  #missing = 0

  get state(): ParserState {
    return this.#state
  }

  /** The message that the last byte belongs to. `undefined` if its type is unknown. */
  get message(): ClientMessage | undefined {
    return this.#message
  }

  /** A copy of the bytes of an incomplete header. */
  get held(): Buffer {
    return this.#held
  }

  /** Parses `bytes` from `at` up to the end of one message. Returns the offset of the first byte that it did not parse. */
  advance(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'ClientInit':
        this.#state = 'between'
        return at + 1
      case 'between':
        return this.#begin(bytes, at)
      case 'header':
        return this.#continueHeader(bytes, at)
      case 'body':
        return this.#skipBody(bytes, at)
      case 'unknown':
        return bytes.length
    }
  }

  #begin(bytes: Buffer, at: number): number {
    this.#message = clientMessages[bytes[at]!]
    if (!this.#message) return this.#lose(bytes)
    const { headerBytes, sizeOf } = this.#message
    if (bytes.length - at < headerBytes) return this.#holdHeader(bytes, at)
    const size = sizeOf(bytes, at, this)
    if (size === undefined) return this.#lose(bytes)
    this.#missing = size
    return this.#skipBody(bytes, at)
  }

  #holdHeader(bytes: Buffer, at: number): number {
    this.#state = 'header'
    this.#held = Buffer.concat([this.#held, bytes.subarray(at)])
    return bytes.length
  }

  #continueHeader(bytes: Buffer, at: number): number {
    const { headerBytes, sizeOf } = this.#message!
    const end = at + headerBytes - this.#held.length
    if (end > bytes.length) return this.#holdHeader(bytes, at)
    const size = sizeOf(Buffer.concat([this.#held, bytes.subarray(at, end)]), 0, this)
    this.#held = NOTHING
    if (size === undefined) return this.#lose(bytes)
    this.#missing = size - headerBytes
    return this.#skipBody(bytes, end)
  }

  #skipBody(bytes: Buffer, at: number): number {
    const end = Math.min(at + this.#missing, bytes.length)
    this.#missing -= end - at
    this.#state = this.#missing === 0 ? 'between' : 'body'
    return end
  }

  #lose(bytes: Buffer): number {
    this.#state = 'unknown'
    return bytes.length
  }
}
