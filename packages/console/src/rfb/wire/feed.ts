/** Reads a protocol from pieces of any size. */

/**
 * A part of a protocol: a generator that yields how many bytes it needs next, and receives exactly those. The bytes are valid
 * until the next `yield`. No part asks for more than {@link MAX_READ_BYTES} at once, so that little is buffered.
 */
export type Reading<T> = Generator<number, T, Uint8Array>

/** The longest row that RFB can describe, 65,535 pixels of 4 bytes. */
export const MAX_READ_BYTES = 0xffff * 4

/** Runs a {@link Reading} on pieces as they come. */
export class Feed {
  readonly #reading: Reading<void>
  #pieces: Uint8Array[] = []
  #bufferedBytes = 0
  #need = 0
  #isDone = false

  constructor(reading: Reading<void>) {
    this.#reading = reading
    this.#take(reading.next())
  }

  /** Whether the reading has ended. */
  get isDone(): boolean {
    return this.#isDone
  }
  /** Bytes that the reading has not asked for yet. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** Passes on all bytes that the reading asks for. @throws what the reading throws */
  push(piece: Uint8Array): void {
    if (piece.length > 0) this.#pieces.push(piece)
    this.#bufferedBytes += piece.length
    while (!this.#isDone && this.#bufferedBytes >= this.#need) this.#take(this.#reading.next(this.#next(this.#need)))
  }

  #take({ done, value }: IteratorResult<number, void>): void {
    this.#isDone = done === true
    this.#need = value ?? 0
  }

  #next(count: number): Uint8Array {
    this.#bufferedBytes -= count
    const [first] = this.#pieces
    if (first === undefined || first.length < count) return this.#gather(count)
    if (first.length === count) this.#pieces.shift()
    else this.#pieces[0] = first.subarray(count)
    return first.subarray(0, count)
  }

  #gather(count: number): Uint8Array {
    const whole = new Uint8Array(count)
    for (let filled = 0, used = 0; filled < count; ) {
      const piece = this.#pieces[used]!
      const part = piece.subarray(0, count - filled)
      whole.set(part, filled)
      filled += part.length
      if (part.length === piece.length) used += 1
      else this.#pieces[used] = piece.subarray(part.length)
      if (filled === count) this.#pieces.splice(0, used)
    }
    return whole
  }
}

/** Reads and drops bytes. */
export function* skip(count: number): Reading<void> {
  for (let left = count; left > 0; left -= MAX_READ_BYTES) yield Math.min(left, MAX_READ_BYTES)
}

/** Reads bytes, and keeps a copy of the first `keep` of them. */
export function* readAtMost(count: number, keep: number): Reading<Uint8Array> {
  const kept = new Uint8Array(Math.min(count, keep))
  for (let at = 0; at < kept.length; ) {
    const piece = yield Math.min(kept.length - at, MAX_READ_BYTES)
    kept.set(piece, at)
    at += piece.length
  }
  yield* skip(count - kept.length)
  return kept
}
