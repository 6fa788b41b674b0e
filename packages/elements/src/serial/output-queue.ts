/** Output that waits to be drawn. A terminal in a background tab draws slowly, because browsers slow its timers down. */

/** The limit for waiting output, in bytes. Beyond it, the oldest output is left out, and a line says so. */
export const maxPendingBytes = 8 * 1024 * 1024
/** How far to look for the end of a line, at which the output goes on. */
const maxLineBytes = 64 * 1024

export class OutputQueue {
  readonly #maxBytes: number
  #chunks: Uint8Array[] = []
  #bytes = 0
  #leftOut = 0

  /** @param maxBytes the limit for waiting output. Default: {@link maxPendingBytes} */
  constructor(maxBytes = maxPendingBytes) {
    this.#maxBytes = maxBytes
  }

  /** Adds the newest output. May leave out the oldest. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#chunks.push(bytes)
    this.#bytes += bytes.length
    if (this.#bytes <= this.#maxBytes) return
    this.#drop(this.#bytes - this.#maxBytes)
    this.#drop(this.#restOfLine())
  }

  /** Removes the oldest output, or the line that says that some was left out. `undefined`: no output waits. */
  shift(): Uint8Array | undefined {
    if (this.#leftOut > 0) {
      const line = leftOutLine(this.#leftOut)
      this.#leftOut = 0
      return line
    }
    const oldest = this.#chunks.shift()
    this.#bytes -= oldest?.length ?? 0
    return oldest
  }

  clear(): void {
    this.#chunks = []
    this.#bytes = 0
    this.#leftOut = 0
  }

  #drop(bytes: number): void {
    this.#leftOut += bytes
    this.#bytes -= bytes
    let whole = 0
    let rest = bytes
    while (rest > 0 && this.#chunks[whole]!.length <= rest) {
      rest -= this.#chunks[whole]!.length
      whole += 1
    }
    this.#chunks.splice(0, whole)
    if (rest > 0) this.#chunks[0] = this.#chunks[0]!.subarray(rest)
  }

  /** Returns the number of bytes up to the next line, or 0 if a line is longer than {@link maxLineBytes}. */
  #restOfLine(): number {
    let before = 0
    for (const chunk of this.#chunks) {
      const end = chunk.indexOf(lineFeed)
      if (end >= 0) return before + end + 1
      before += chunk.length
      if (before > maxLineBytes) break
    }
    return 0
  }
}

const lineFeed = 0x0a

// CAN ends an escape sequence that was drawn in part; SGR 0 ends its colours.
const leftOutLine = (bytes: number) =>
  new TextEncoder().encode(`\x18\x1b[0m\r\n[oriel: ${bytes} bytes of output were left out by this page]\r\n`)
