/**
 * Joins bytes that arrive in pieces. A peer chooses the sizes of the pieces, so each byte is copied a constant number of
 * times, and a piece costs no memory beyond its bytes.
 */
const NOTHING = Buffer.alloc(0)
const FIRST_BYTES = 64

export class Gathered {
  #bytes = NOTHING
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Appends a copy of `piece`. */
  append(piece: Uint8Array): void {
    const length = this.#length + piece.length
    if (length > this.#bytes.length) this.#grow(Math.max(length, this.#bytes.length * 2, FIRST_BYTES))
    this.#bytes.set(piece, this.#length)
    this.#length = length
  }

  /** Returns all gathered bytes and forgets them. */
  take(): Buffer {
    const all = this.#bytes.subarray(0, this.#length)
    this.#bytes = NOTHING
    this.#length = 0
    return all
  }

  #grow(capacity: number): void {
    const larger = Buffer.allocUnsafe(capacity)
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}
