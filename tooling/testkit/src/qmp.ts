/** A small client of the QEMU Machine Protocol: commands with deadlines, and events. */
import type { Duplex } from 'node:stream'
import { defaultTimeoutMs, type WaitOptions, within } from './deadline.ts'

/** An event from QEMU, such as `SHUTDOWN`. */
export interface QmpEvent {
  readonly event: string
  readonly data?: Readonly<Record<string, unknown>>
  readonly timestamp: { readonly seconds: number; readonly microseconds: number }
}

/** Thrown when QEMU refuses a command. `class` is QEMU's error class. */
export class QmpError extends Error {
  readonly class: string
  constructor(command: string, { class: kind, desc }: { class: string; desc: string }) {
    super(`${command}: ${desc}`)
    this.name = 'QmpError'
    this.class = kind
  }
}

export interface QmpClient {
  /**
   * Sends a command, and resolves with the `return` member of QEMU's response.
   * @throws QmpError if QEMU refuses it; Error at the deadline or if the connection ends.
   */
  qmp(command: string, args?: Readonly<Record<string, unknown>>, options?: WaitOptions): Promise<unknown>
  /** All events since the client connected, past and future. Ends with the connection. */
  readonly events: AsyncIterable<QmpEvent>
}

const maxEvents = 1000
const maxLineBytes = 4 * 1024 * 1024

interface Waiting {
  readonly command: string
  resolve(value: unknown): void
  reject(cause: Error): void
}

/** Reads QEMU's greeting from a connected stream, and negotiates no capabilities. */
export async function connectQmp(
  stream: Duplex,
  { timeoutMs = defaultTimeoutMs }: WaitOptions = {},
): Promise<QmpClient> {
  const client = new Client(stream)
  await within(client.greeted, timeoutMs, () => 'QEMU has not greeted')
  await client.qmp('qmp_capabilities', {}, { timeoutMs })
  return client
}

class Client implements QmpClient {
  readonly #stream: Duplex
  readonly #waiting = new Map<number, Waiting>()
  readonly #events: QmpEvent[] = []
  readonly #greeting = Promise.withResolvers<void>()
  #news = Promise.withResolvers<void>()
  #unread = ''
  #lastId = 0
  #failure: Error | undefined

  constructor(stream: Duplex) {
    this.#stream = stream
    // A guest that ends before `connectQmp` awaits the greeting must not cause an unhandled rejection.
    this.#greeting.promise.catch(() => {})
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => this.#read(text))
    stream.on('error', (cause) => this.#end(cause))
    stream.on('close', () => this.#end())
  }

  get greeted(): Promise<void> {
    return this.#greeting.promise
  }

  get events(): AsyncIterable<QmpEvent> {
    return this.#replay()
  }

  async qmp(
    command: string,
    args: Readonly<Record<string, unknown>> = {},
    options: WaitOptions = {},
  ): Promise<unknown> {
    if (this.#failure) throw this.#failure
    const { timeoutMs = defaultTimeoutMs } = options
    const id = ++this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#waiting.set(id, { command, resolve, reject })
    this.#stream.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`)
    try {
      return await within(promise, timeoutMs, () => `no answer to ${command}`)
    } finally {
      this.#waiting.delete(id)
    }
  }

  async *#replay(): AsyncGenerator<QmpEvent, void> {
    for (let next = 0; ; next++) {
      while (next >= this.#events.length) {
        if (this.#failure) return
        await this.#news.promise
      }
      yield this.#events[next]!
    }
  }

  #read(text: string): void {
    const lines = (this.#unread + text).split('\n')
    this.#unread = lines.pop()!
    if (this.#unread.length > maxLineBytes) this.#stream.destroy(new Error('QEMU sent an endless line'))
    for (const line of lines) if (line.trim() !== '') this.#take(JSON.parse(line))
  }

  #take(message: Record<string, unknown>): void {
    if ('QMP' in message) this.#greeting.resolve()
    else if ('event' in message) this.#keep(message as unknown as QmpEvent)
    else this.#settle(message)
  }

  #keep(event: QmpEvent): void {
    if (this.#events.length < maxEvents) this.#events.push(event)
    this.#wake()
  }

  #settle({ id, error, return: value }: Record<string, unknown>): void {
    const waiting = this.#waiting.get(id as number)
    if (!waiting) return
    if (error) waiting.reject(new QmpError(waiting.command, error as { class: string; desc: string }))
    else waiting.resolve(value)
  }

  #end(cause?: Error): void {
    this.#failure ??= new Error('QEMU closed its monitor', cause ? { cause } : {})
    this.#greeting.reject(this.#failure)
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#wake()
  }

  #wake(): void {
    this.#news.resolve()
    this.#news = Promise.withResolvers()
  }
}
