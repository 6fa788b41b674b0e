/** The end of a stream of bytes. */

const FIRST_BYTES = 4096

export class Tail {
  readonly #maxBytes: number
  #memory = new Uint8Array(FIRST_BYTES)
  #length = 0

  /** @param maxBytes how much is kept. The memory is up to twice as large, so that old bytes are rarely moved. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The last bytes, until the next `push`. */
  get bytes(): Uint8Array {
    return this.#memory.subarray(Math.max(0, this.#length - this.#maxBytes), this.#length)
  }

  push(bytes: Uint8Array): void {
    const kept = bytes.subarray(Math.max(0, bytes.length - this.#maxBytes))
    if (this.#length + kept.length > this.#memory.length) this.#makeRoom(kept.length)
    this.#memory.set(kept, this.#length)
    this.#length += kept.length
  }

  #makeRoom(bytes: number): void {
    const old = this.bytes
    const size = Math.min(Math.max(this.#memory.length * 2, old.length + bytes), this.#maxBytes * 2)
    const memory = size > this.#memory.length ? new Uint8Array(size) : this.#memory
    // `set` is correct even if source and destination overlap in one memory.
    memory.set(old)
    this.#memory = memory
    this.#length = old.length
  }
}
