/** A bounded reader of bytes that arrive in pieces of any size: what handshakes are read with, on either side. */

export interface ByteReaderOptions {
  /** How many bytes may wait unread. A peer that sends more before the handshake is through has broken the protocol. */
  readonly maxBytes: number
  /** Ends every wait: the deadline of the whole handshake, and whatever else calls it off. */
  readonly signal: AbortSignal
}

/** The peer sent more than a handshake has. */
export class TooManyBytes extends Error {
  override readonly name = 'TooManyBytes'
}

/** One reader at a time: a second `read` before the first has its bytes is a mistake of the caller. */
export class ByteReader {
  readonly #maxBytes: number
  #signal: AbortSignal | undefined
  #held: Buffer = Buffer.alloc(0)
  #failure: { readonly cause: unknown } | undefined
  #waiting: { readonly length: number; readonly got: PromiseWithResolvers<Buffer> } | undefined

  constructor({ maxBytes, signal }: ByteReaderOptions) {
    this.#maxBytes = maxBytes
    this.#signal = signal
    if (signal.aborted) this.#aborted()
    else signal.addEventListener('abort', this.#aborted, { once: true })
  }

  /** Takes what arrived. The bytes are copied, so the caller may reuse its buffer. */
  push(bytes: Uint8Array): void {
    if (this.#failure) return
    const length = this.#held.length + bytes.length
    if (length > this.#maxBytes) {
      this.fail(new TooManyBytes(`${length} bytes wait, ${this.#maxBytes} may`))
    } else {
      this.#held = Buffer.concat([this.#held, bytes])
      this.#serve()
    }
  }

  /** Says that nothing more will come; what has arrived can still be read. Only the first failure counts. */
  fail(cause: unknown): void {
    this.#failure ??= { cause }
    this.#serve()
  }

  /**
   * The next `length` bytes.
   * @throws what the reader failed with; RangeError for more than could ever wait
   */
  read(length: number): Promise<Buffer> {
    if (length > this.#maxBytes)
      return Promise.reject(new RangeError(`${length} bytes asked, ${this.#maxBytes} may wait`))
    if (this.#waiting) return Promise.reject(new TypeError('a read is under way'))
    this.#waiting = { length, got: Promise.withResolvers() }
    const { promise } = this.#waiting.got
    this.#serve()
    return promise
  }

  /** The next byte. */
  async readU8(): Promise<number> {
    return (await this.read(1)).readUInt8()
  }

  /** The next four bytes as a number. */
  async readU32(): Promise<number> {
    return (await this.read(4)).readUInt32BE()
  }

  /** Ends the reading: everything that arrived and was not read, which belongs to whatever follows the handshake. */
  rest(): Buffer {
    // Whoever made the reader may hold it for longer than that.
    this.#signal?.removeEventListener('abort', this.#aborted)
    this.#signal = undefined
    const rest = this.#held
    this.#held = Buffer.alloc(0)
    return rest
  }

  readonly #aborted = (): void => this.fail(this.#signal?.reason)

  #serve(): void {
    const waiting = this.#waiting
    if (!waiting) return
    if (this.#held.length >= waiting.length) {
      this.#waiting = undefined
      waiting.got.resolve(this.#held.subarray(0, waiting.length))
      this.#held = this.#held.subarray(waiting.length)
    } else if (this.#failure) {
      this.#waiting = undefined
      waiting.got.reject(this.#failure.cause)
    }
  }
}
