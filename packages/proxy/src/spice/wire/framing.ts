/**
 * SPICE messages out of a stream: headers are read, bodies pass in the pieces in which they came. Nothing is held back
 * but a header that is not complete yet, so memory does not depend on what a peer announces.
 */
import type { HeaderFormat } from './protocol.ts'

export interface MessageHeader {
  readonly type: number
  /** Bytes of the body: up to 2³²−1, whatever the peer says. */
  readonly size: number
  /** Where the sub-messages are listed; 0: there are none. The mini header has no such list. */
  readonly subList: number
}

/** Part of one message, never of two. Header bytes come first and in one piece. */
export interface Piece {
  readonly message: MessageHeader
  readonly bytes: Buffer
  readonly first: boolean
  readonly last: boolean
}

export const headerBytes = { mini: 6, full: 18 } as const satisfies Record<HeaderFormat, number>

const NOTHING = Buffer.alloc(0)

export class Framer {
  readonly #format: HeaderFormat
  #partial: Buffer = NOTHING
  #message: MessageHeader | undefined
  #left = 0

  constructor(format: HeaderFormat) {
    this.#format = format
  }

  /** Whether the stream stands between two messages: where it may end. */
  get atBoundary(): boolean {
    return this.#message === undefined && this.#partial.length === 0
  }

  /** The pieces that `chunk` completes. They share its memory. */
  *push(chunk: Buffer): Generator<Piece, void> {
    let rest = chunk
    while (rest.length > 0) {
      const { piece, after } = this.#message ? this.#body(rest, this.#message) : this.#header(rest)
      if (piece) yield piece
      rest = after
    }
  }

  #header(chunk: Buffer): { piece?: Piece; after: Buffer } {
    const needed = headerBytes[this.#format]
    const bytes = this.#partial.length > 0 ? Buffer.concat([this.#partial, chunk]) : chunk
    if (bytes.length < needed) {
      this.#partial = Buffer.from(bytes)
      return { after: NOTHING }
    }
    this.#partial = NOTHING
    const message = parseHeader(bytes, this.#format)
    const end = Math.min(bytes.length, needed + message.size)
    return {
      piece: this.#piece(message, bytes.subarray(0, end), needed + message.size - end, true),
      after: bytes.subarray(end),
    }
  }

  #body(chunk: Buffer, message: MessageHeader): { piece: Piece; after: Buffer } {
    const end = Math.min(chunk.length, this.#left)
    return { piece: this.#piece(message, chunk.subarray(0, end), this.#left - end, false), after: chunk.subarray(end) }
  }

  #piece(message: MessageHeader, bytes: Buffer, left: number, first: boolean): Piece {
    this.#left = left
    this.#message = left > 0 ? message : undefined
    return { message, bytes, first, last: left === 0 }
  }
}

/** The header of a message whose body has another size now. @param original the message as it came, header first */
export function withBody(original: Buffer, body: Buffer, format: HeaderFormat): Buffer {
  const header = Buffer.from(original.subarray(0, headerBytes[format]))
  header.writeUInt32LE(body.length, format === 'mini' ? 2 : 10)
  return Buffer.concat([header, body])
}

function parseHeader(bytes: Buffer, format: HeaderFormat): MessageHeader {
  if (format === 'mini') return { type: bytes.readUInt16LE(0), size: bytes.readUInt32LE(2), subList: 0 }
  return { type: bytes.readUInt16LE(8), size: bytes.readUInt32LE(10), subList: bytes.readUInt32LE(14) }
}
