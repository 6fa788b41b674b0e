/** Reads and writes WebSocket frames (RFC 6455 section 5) cheaply: payload is passed on in pieces, without copying. */

export const opcodes = { binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const
const FIN = 0x80
const MASKED = 0x80
const MASK = Buffer.of(0x37, 0xfa, 0x21, 0x3d)

/** Returns a masked client frame with up to 125 bytes of payload. */
export function clientFrame(opcode: number, payload: Uint8Array): Buffer {
  if (payload.length > 125) throw new RangeError('only short frames')
  const frame = Buffer.allocUnsafe(6 + payload.length)
  frame[0] = FIN | opcode
  frame[1] = MASKED | payload.length
  return masked(frame, payload, 2)
}

/** Returns a masked client frame with a payload of at least 64 KiB. */
export function longFrame(opcode: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(14 + payload.length)
  frame[0] = FIN | opcode
  frame[1] = MASKED | 127
  frame.writeBigUInt64BE(BigInt(payload.length), 2)
  return masked(frame, payload, 10)
}

/** Writes the mask at `at`, and the masked payload after it. */
function masked(frame: Buffer, payload: Uint8Array, at: number): Buffer {
  frame.set(MASK, at)
  for (let i = 0; i < payload.length; i += 1) frame[at + 4 + i] = payload[i]! ^ MASK[i & 3]!
  return frame
}

export interface FrameTaker {
  /** Receives a piece of a data frame's payload. */
  data(payload: Buffer): void
  /** Receives a complete control frame. */
  control(opcode: number, payload: Buffer): void
}

/** Reads the unmasked frames of a server. */
export class FrameReader {
  readonly #taker: FrameTaker
  #opcode = 0
  #leftBytes = 0
  #held = Buffer.alloc(0)

  constructor(taker: FrameTaker) {
    this.#taker = taker
  }

  push(chunk: Buffer): void {
    let rest = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk
    this.#held = EMPTY
    while (rest.length > 0) {
      const taken = this.#leftBytes > 0 ? this.#payload(rest) : this.#header(rest)
      if (taken === 0) {
        this.#held = Buffer.from(rest)
        return
      }
      rest = rest.subarray(taken)
    }
  }

  #payload(bytes: Buffer): number {
    const piece = bytes.subarray(0, this.#leftBytes)
    const isControl = this.#opcode >= opcodes.close
    if (isControl && piece.length < this.#leftBytes) return 0
    this.#leftBytes -= piece.length
    if (isControl) this.#taker.control(this.#opcode, piece)
    else this.#taker.data(piece)
    return piece.length
  }

  #header(bytes: Buffer): number {
    const short = (bytes[1] ?? 0) & 0x7f
    const size = short === 127 ? 10 : short === 126 ? 4 : 2
    if (bytes.length < size) return 0
    this.#opcode = bytes[0]! & 0xf
    this.#leftBytes = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short
    if (this.#leftBytes === 0 && this.#opcode >= opcodes.close) this.#taker.control(this.#opcode, EMPTY)
    return size
  }
}

const EMPTY = Buffer.alloc(0)
