/**
 * Splits a stream into SPICE messages. Parses headers and passes bodies on in the pieces in which they arrive. Buffers only
 * incomplete headers, so memory use does not depend on the sizes that a peer announces.
 */
import type { HeaderFormat } from './protocol.ts'

export interface MessageHeader {
  readonly type: number
  /** The body's size in bytes as the peer announced it: up to 2³²−1. */
  readonly size: number
  /** The offset of the list of sub-messages, or 0 without sub-messages. Always 0 with the mini header. */
  readonly subList: number
}

/** A part of one message. The first piece contains the whole header. */
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
  /** The bytes of the current body that have not arrived yet. */
  #remaining = 0

  constructor(format: HeaderFormat) {
    this.#format = format
  }

  /** Whether the stream is between two messages, so that it may end here. */
  get atBoundary(): boolean {
    return this.#message === undefined && this.#partial.length === 0
  }

  /** Yields the pieces in `chunk`. A piece shares the chunk's memory unless its header began in an earlier chunk. */
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
    const end = Math.min(chunk.length, this.#remaining)
    return {
      piece: this.#piece(message, chunk.subarray(0, end), this.#remaining - end, false),
      after: chunk.subarray(end),
    }
  }

  #piece(message: MessageHeader, bytes: Buffer, remaining: number, first: boolean): Piece {
    this.#remaining = remaining
    this.#message = remaining > 0 ? message : undefined
    return { message, bytes, first, last: remaining === 0 }
  }
}

/** Replaces a message's body and updates the size in its header. @param original the original message with its header */
export function withBody(original: Buffer, body: Buffer, format: HeaderFormat): Buffer {
  const header = Buffer.from(original.subarray(0, headerBytes[format]))
  header.writeUInt32LE(body.length, format === 'mini' ? 2 : 10)
  return Buffer.concat([header, body])
}

function parseHeader(bytes: Buffer, format: HeaderFormat): MessageHeader {
  if (format === 'mini') return { type: bytes.readUInt16LE(0), size: bytes.readUInt32LE(2), subList: 0 }
  return { type: bytes.readUInt16LE(8), size: bytes.readUInt32LE(10), subList: bytes.readUInt32LE(14) }
}
