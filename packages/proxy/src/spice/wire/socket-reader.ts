/**
 * Reads a socket by hand, in paused mode: whatever is not asked for stays in the stream, so that a handshake can be
 * followed by a relay without a byte lost. Deadlines destroy the socket, which ends every wait.
 */
import type { Duplex } from 'node:stream'

/** The other side ended, or the connection broke, in the middle of what was awaited. */
export class SocketEnded extends Error {
  override readonly name = 'SocketEnded'
}

/** One reader per socket, one read at a time. It takes the `readable` events of the socket for itself. */
export class SocketReader {
  readonly #socket: Duplex
  #news = Promise.withResolvers<void>()
  #ended = false
  #failure: Error | undefined

  constructor(socket: Duplex) {
    this.#socket = socket
    const wake = () => {
      this.#news.resolve()
      this.#news = Promise.withResolvers()
    }
    const end = () => {
      this.#ended = true
      wake()
    }
    socket.on('readable', wake).on('end', end).on('close', end)
    socket.on('error', (cause) => {
      this.#failure ??= cause
      end()
    })
  }

  /** What broke the connection, if anything did. */
  get failure(): Error | undefined {
    return this.#failure
  }

  /** The next `length` bytes. @throws SocketEnded */
  async read(length: number): Promise<Buffer> {
    if (length === 0) return Buffer.alloc(0)
    for (;;) {
      const news = this.#news.promise
      const bytes = this.#socket.read(length) as Buffer | null
      if (bytes?.length === length) return bytes
      if (bytes !== null || this.#ended) throw this.#endedIn(`${length} bytes`)
      await news
    }
  }

  /** Whatever has arrived, or `undefined` once the stream is at its end. @throws SocketEnded when it broke */
  async readSome(): Promise<Buffer | undefined> {
    for (;;) {
      const news = this.#news.promise
      const bytes = this.#socket.read() as Buffer | null
      if (bytes !== null) return bytes
      if (this.#failure) throw this.#endedIn('messages')
      if (this.#ended) return undefined
      await news
    }
  }

  #endedIn(what: string): SocketEnded {
    const options = this.#failure ? { cause: this.#failure } : {}
    return new SocketEnded(`the connection ended where ${what} were awaited`, options)
  }
}
