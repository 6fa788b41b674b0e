/** Tells when a guest printed a text on its serial port, by the clock of a thread that does nothing else. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** Connects to each port that it is sent, and reports the output with the time of its arrival. */
const READER = `
  const { parentPort } = require('node:worker_threads')
  let socket
  parentPort.on('message', (port) => {
    socket?.destroy()
    socket = require('node:net').connect(port, '127.0.0.1', () => parentPort.postMessage('connected'))
    socket.on('data', (bytes) =>
      parentPort.postMessage({ text: bytes.toString('latin1'), at: performance.timeOrigin + performance.now() }))
    socket.on('error', () => {})
  })
`

interface Chunk {
  readonly text: string
  readonly at: number
}

export class SerialClock implements AsyncDisposable {
  readonly #worker = new Worker(READER, { eval: true })
  #chunks: Chunk[] = []
  #news = Promise.withResolvers<void>()

  constructor() {
    this.#worker.on('message', (chunk: Chunk | 'connected') => {
      if (chunk !== 'connected') this.#chunks.push(chunk)
      this.#news.resolve()
      this.#news = Promise.withResolvers()
    })
  }

  /** Reads this port of 127.0.0.1 from now on, in place of the one before. */
  async connect(port: number): Promise<void> {
    const connected = once(this.#worker, 'message')
    this.#worker.postMessage(port)
    await connected
    this.#chunks = []
  }

  /** Resolves with the time, in milliseconds since 1970, at which the output contained `text`. */
  async printed(text: string): Promise<number> {
    for (;;) {
      let output = ''
      const chunk = this.#chunks.find((chunk) => {
        output += chunk.text
        return output.includes(text)
      })
      if (chunk) return chunk.at
      await this.#news.promise
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
  }
}
