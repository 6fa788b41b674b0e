/** Ticks: numbered ServerCutText messages (RFC 6143 section 7.6.4). A proxy must forward them unchanged. */

/** The interval between ticks, in milliseconds. */
export const TICK_MS = 50
/** Message type, padding and length of the text. */
const HEAD = Buffer.of(3, 0, 0, 0, 0, 0, 0, 8)
export const TICK_BYTES = HEAD.length + 8

export function tickMessage(number: number): Buffer {
  return Buffer.concat([HEAD, Buffer.from(number.toString(16).padStart(8, '0'))])
}

/** Parses ticks from a stream that arrives in pieces of any size. */
export class TickReader {
  #held = Buffer.alloc(0)
  #expected = 0

  /** Returns the number of ticks that these bytes complete. @throws if one is missing, duplicate or damaged */
  push(bytes: Buffer): number {
    this.#held = Buffer.concat([this.#held, bytes])
    let read = 0
    for (; this.#held.length >= TICK_BYTES; this.#held = this.#held.subarray(TICK_BYTES)) {
      const found = this.#held.subarray(0, TICK_BYTES)
      if (!found.equals(tickMessage(this.#expected))) {
        throw new Error(`tick ${this.#expected} was expected, ${found.toString('hex')} came`)
      }
      this.#expected += 1
      read += 1
    }
    return read
  }
}
