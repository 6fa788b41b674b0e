/**
 * Reads a socket in paused mode: bytes that no call has requested stay in the stream, so the relay can take over after the
 * handshake without losing any. It has no timeouts: a caller destroys the socket at its deadline, and pending reads reject.
 */
import type { Duplex } from 'node:stream'

/** Thrown when the connection ends or fails before the requested bytes have arrived. */
export class SocketEnded extends Error {
  override readonly name = 'SocketEnded'
}

/** Only one reader per socket, and one read at a time. Consumes the socket's `readable` events. */
export class SocketReader {
  readonly #socket: Duplex
  #news = Promise.withResolvers<void>()
  #atEnd = false
  #failure: Error | undefined

  constructor(socket: Duplex) {
    this.#socket = socket
    const wake = () => {
      this.#news.resolve()
      this.#news = Promise.withResolvers()
    }
    const end = () => {
      this.#atEnd = true
      wake()
    }
    socket.on('readable', wake).on('end', end).on('close', end)
    socket.on('error', (cause) => {
      this.#failure ??= cause
      end()
    })
  }

  /** The socket's first error, if any. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** Reads exactly `length` bytes. @throws SocketEnded */
  async read(length: number): Promise<Buffer> {
    if (length === 0) return Buffer.alloc(0)
    for (;;) {
      const news = this.#news.promise
      const bytes = this.#socket.read(length) as Buffer | null
      if (bytes?.length === length) return bytes
      if (bytes !== null || this.#atEnd) throw this.#endedBefore(`${length} bytes`)
      await news
    }
  }

  /** Reads all bytes that have arrived. Returns `undefined` at the end of the stream. @throws SocketEnded after an error */
  async readSome(): Promise<Buffer | undefined> {
    for (;;) {
      const news = this.#news.promise
      const bytes = this.#socket.read() as Buffer | null
      if (bytes !== null) return bytes
      if (this.#failure) throw this.#endedBefore('the next message')
      if (this.#atEnd) return undefined
      await news
    }
  }

  #endedBefore(expected: string): SocketEnded {
    const options = this.#failure ? { cause: this.#failure } : {}
    return new SocketEnded(`the connection ended before ${expected} arrived`, options)
  }
}
