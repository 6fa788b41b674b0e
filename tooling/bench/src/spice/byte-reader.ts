/** Reads a given number of bytes from a socket, one read at a time, until `stop` is called. */
import type { Socket } from 'node:net'

export class ByteReader {
  readonly #socket: Socket
  #held: Buffer = Buffer.alloc(0)
  #ended = false
  #news = () => {}

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', this.#take).once('close', () => {
      this.#ended = true
      this.#news()
    })
  }

  /** Reads the next `length` bytes. @throws if the connection ends first */
  async read(length: number): Promise<Buffer> {
    while (this.#held.length < length) {
      if (this.#ended) throw new Error(`the connection ended where ${length} bytes were awaited`)
      await new Promise<void>((resolve) => {
        this.#news = resolve
      })
    }
    const bytes = this.#held.subarray(0, length)
    this.#held = this.#held.subarray(length)
    return bytes
  }

  /** Passes all further bytes to `take`, which discards them by default. */
  stop(take: (bytes: Buffer) => void = () => {}): void {
    this.#socket.on('data', take).off('data', this.#take)
    this.#held = Buffer.alloc(0)
  }

  #take = (bytes: Buffer): void => {
    this.#held = this.#held.length > 0 ? Buffer.concat([this.#held, bytes]) : bytes
    this.#news()
  }
}
