/**
 * Measures when a guest printed a text on its serial port, by the clock of a thread that does nothing else, and how late the
 * machine runs that thread.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

const TICK_MS = 10

/**
 * Connects to each port that it is sent, and reports the output with the time of its arrival. For a 0 it reports by how much
 * each tick of its timer was late.
 */
const READER = `
  const { parentPort } = require('node:worker_threads')
  let socket
  let last = performance.now()
  const late = []
  setInterval(() => {
    late.push(Math.max(0, performance.now() - last - ${TICK_MS}))
    last = performance.now()
  }, ${TICK_MS})
  parentPort.on('message', (port) => {
    if (port === 0) return parentPort.postMessage(late)
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
    this.#worker.on('message', (message: Chunk | 'connected' | number[]) => {
      if (message !== 'connected' && !Array.isArray(message)) this.#chunks.push(message)
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

  /** Returns by how many milliseconds a timer was late, every 10 ms since the start. */
  async lateness(): Promise<readonly number[]> {
    for (;;) {
      const answered = once(this.#worker, 'message')
      this.#worker.postMessage(0)
      const [message] = await answered
      if (Array.isArray(message)) return message
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
  }
}
