import type { HypervisorSocket } from '../hypervisor/leg.ts'

/**
 * The bytes of one write that a filter lets pass. Contiguous bytes are one range of the write, which is not copied; a write
 * with gaps is copied once.
 */
export class PassedBytes {
  readonly bytes: Buffer
  readonly #finished: Buffer[] = []
  #from = 0
  #to = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  /** Lets the bytes from `from` to before `to` pass. */
  keep(from: number, to: number): void {
    if (from !== this.#to) this.#finishRange(from)
    this.#to = to
  }

  /** Lets other bytes pass, after the kept ones. */
  insert(other: Buffer): void {
    if (other.length === 0) return
    this.#finishRange(this.#to)
    this.#finished.push(other)
  }

  /** Writes with at most one call. Returns whether `leg` takes more. */
  writeTo(leg: HypervisorSocket): boolean {
    this.#finishRange(this.#to)
    if (this.#finished.length === 0) return true
    return leg.write(this.#finished.length === 1 ? this.#finished[0]! : Buffer.concat(this.#finished))
  }

  #finishRange(next: number): void {
    if (this.#to > this.#from) this.#finished.push(this.bytes.subarray(this.#from, this.#to))
    this.#from = next
    this.#to = next
  }
}
