/** A bounded reader of bytes that arrive in pieces of any size, for the handshakes with both sides. */

export interface ByteReaderOptions {
  /** The maximum number of unread bytes. A peer that sends more during the handshake violates the protocol. */
  readonly maxBytes: number
  /** Rejects pending and later reads once it aborts, for example at the deadline of the handshake. */
  readonly signal: AbortSignal
}

/** Thrown when the peer has sent more than `maxBytes` unread bytes. */
export class TooManyBytes extends Error {
  override readonly name = 'TooManyBytes'
}

const NOTHING = Buffer.alloc(0)

/** Allows one pending `read` at a time. Keeps nothing after the handshake, because its legs may keep it for days. */
export class ByteReader {
  readonly #maxBytes: number
  #signal: AbortSignal | undefined
  #held: Buffer = NOTHING
  #failure: { readonly cause: unknown } | undefined
  #waiting: { readonly length: number; readonly got: PromiseWithResolvers<Buffer> } | undefined

  constructor({ maxBytes, signal }: ByteReaderOptions) {
    this.#maxBytes = maxBytes
    this.#signal = signal
    if (signal.aborted) this.#aborted()
    else signal.addEventListener('abort', this.#aborted, { once: true })
  }

  /** Appends a copy of `bytes`, so the caller may reuse its buffer. */
  push(bytes: Uint8Array): void {
    if (this.#failure) return
    const length = this.#held.length + bytes.length
    if (length > this.#maxBytes) {
      this.fail(new TooManyBytes(`${length} unread bytes, the maximum is ${this.#maxBytes}`))
    } else {
      this.#held = Buffer.concat([this.#held, bytes])
      this.#serve()
    }
  }

  /** Makes reads beyond the bytes that have arrived reject with `cause`. Only the first failure counts. */
  fail(cause: unknown): void {
    this.#failure ??= { cause }
    this.#serve()
  }

  /**
   * Returns the next `length` bytes.
   * @throws the cause of the reader's failure; RangeError if `length` is above `maxBytes`
   */
  read(length: number): Promise<Buffer> {
    if (length > this.#maxBytes)
      return Promise.reject(new RangeError(`cannot read ${length} bytes, the maximum is ${this.#maxBytes}`))
    if (this.#waiting) return Promise.reject(new TypeError('another read is pending'))
    this.#waiting = { length, got: Promise.withResolvers() }
    const { promise } = this.#waiting.got
    this.#serve()
    return promise
  }

  /** Reads the next byte. */
  async readU8(): Promise<number> {
    return (await this.read(1)).readUInt8()
  }

  /** Reads the next four bytes as a number. */
  async readU32(): Promise<number> {
    return (await this.read(4)).readUInt32BE()
  }

  /** Ends the reading, and returns the bytes that were not read: they belong to the protocol after the handshake. */
  rest(): Buffer {
    // The signal may outlive the handshake: without a listener it does not keep this reader in memory.
    this.#signal?.removeEventListener('abort', this.#aborted)
    this.#signal = undefined
    const rest = this.#held
    this.#held = NOTHING
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
