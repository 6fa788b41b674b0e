/**
 * The last output of a serial port. Positions count the bytes since the port was first opened, so that a reader's position
 * stays valid while older output is overwritten.
 */
import { allocatePayload } from '../hypervisor/read-buffers.ts'

const FIRST_BYTES = 512
const LINE_END = 0x0a
const NOTHING = Buffer.alloc(0)

export class Ring {
  readonly #maxBytes: number
  /** The byte at position p is at index p % maxBytes. Smaller than that while little was printed. */
  #memory: Buffer = NOTHING
  #uncopied: Buffer | undefined
  #end = 0
  /** The position of the first byte since the last `clear`. */
  #first = 0

  /** @param maxBytes at least 1 */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The position after the newest byte. */
  get end(): number {
    return this.#end
  }

  /** The position of the oldest byte. */
  get start(): number {
    return Math.max(this.#first, this.#end - this.#maxBytes)
  }

  /** Whether a terminal that shows the output is at the start of a line. Guests end lines by `\r\n`, some by `\n\r`. */
  get isAtLineStart(): boolean {
    const last = String(this.copy(Math.max(this.start, this.#end - 2), NOTHING))
    return last === '' || last.endsWith('\n') || last === '\n\r'
  }

  /** Forgets all output. Positions stay valid. */
  clear(): void {
    this.#first = this.#end
  }

  /**
   * Appends `bytes`, which replace all older output if there are enough of them. Those are copied only when the ring is read
   * or `settle` is called: while a port floods, the next piece makes the copy superfluous.
   */
  append(bytes: Buffer): void {
    if (bytes.length < this.#maxBytes) {
      this.push(bytes)
      return
    }
    this.#end += bytes.length
    this.#uncopied = bytes
  }

  /** Whether `bytes` must not change yet. */
  holds(bytes: Buffer): boolean {
    return this.#uncopied === bytes
  }

  /** Copies what was appended without a copy. */
  settle(): void {
    const bytes = this.#uncopied
    if (bytes === undefined) return
    this.#uncopied = undefined
    this.#end -= bytes.length
    this.push(bytes)
  }

  /** Appends a copy of `bytes`, and overwrites the oldest output. */
  push(bytes: Uint8Array): void {
    this.settle()
    this.#reserve(Math.min(this.#end + bytes.length, this.#maxBytes))
    const kept = bytes.length > this.#maxBytes ? bytes.subarray(bytes.length - this.#maxBytes) : bytes
    this.#end += bytes.length
    const at = (this.#end - kept.length) % this.#maxBytes
    const untilEdge = Math.min(kept.length, this.#maxBytes - at)
    this.#memory.set(untilEdge < kept.length ? kept.subarray(0, untilEdge) : kept, at)
    if (untilEdge < kept.length) this.#memory.set(kept.subarray(untilEdge), 0)
  }

  /**
   * The position at which the last `bytes` of output are shown from: the first one, or the next beginning of a line if older
   * output was cut off.
   */
  lastLines(bytes: number = this.#maxBytes): number {
    const from = Math.max(this.start, this.#end - bytes)
    return from === this.#first ? from : this.#lineAfter(from)
  }

  /** Returns `before` and a copy of the output from position `from` on, in memory with room for a frame's header. */
  copy(from: number, before: Uint8Array): Buffer {
    const copied = allocatePayload(before.length + this.#end - from)
    copied.set(before)
    let length = before.length
    for (const part of this.#parts(from)) {
      copied.set(part, length)
      length += part.length
    }
    return copied
  }

  /** Returns `from` if no line ends after it. */
  #lineAfter(from: number): number {
    let passed = 0
    for (const part of this.#parts(from)) {
      const at = part.indexOf(LINE_END)
      if (at >= 0) return from + passed + at + 1
      passed += part.length
    }
    return from
  }

  /** The output from `from` on: in two parts if it passes the edge of the memory. */
  #parts(from: number): readonly Buffer[] {
    this.settle()
    const [first, after] = [from % this.#maxBytes, this.#end % this.#maxBytes]
    if (from === this.#end) return []
    if (first < after) return [this.#memory.subarray(first, after)]
    return [this.#memory.subarray(first), this.#memory.subarray(0, after)]
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#memory.length) return
    const size = Math.min(Math.max(bytes, this.#memory.length * 2, FIRST_BYTES), this.#maxBytes)
    // Not from the pool of small buffers, which a kept slice would keep as a whole.
    const larger = Buffer.allocUnsafeSlow(size)
    larger.set(this.#memory)
    this.#memory = larger
  }
}
