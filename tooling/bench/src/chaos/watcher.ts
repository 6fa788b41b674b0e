/** Watches a ticking console: counts its ticks and measures the gaps between them. */
import { once } from 'node:events'
import { ConsoleClient, type Target } from '../console-client.ts'
import { TickReader } from './ticks.ts'

export class Watcher {
  readonly #client: ConsoleClient
  readonly #reader = new TickReader()
  readonly #news = new EventTarget()
  #lastMs = performance.now()
  #worstGapMs = 0
  #damage: Error | undefined

  /** Opens a console. @throws if it is refused */
  static async open(target: Target, session: number): Promise<Watcher> {
    return new Watcher(await ConsoleClient.open(target, session))
  }

  private constructor(client: ConsoleClient) {
    this.#client = client
    client.take((payload) => this.#take(payload))
  }

  get isOpen(): boolean {
    return this.#client.isOpen
  }

  /** The first fault in the ticks, or `undefined`. No tick may be lost while a console is open. */
  get damage(): Error | undefined {
    return this.#damage
  }

  /** Returns the longest gap since the last call in milliseconds, including the current gap. */
  takeWorstGapMs(): number {
    this.#note()
    const worst = this.#worstGapMs
    this.#worstGapMs = 0
    return worst
  }

  /** Resolves with the next tick, or rejects when the signal aborts. */
  async nextTick(signal: AbortSignal): Promise<void> {
    await once(this.#news, 'tick', { signal })
  }

  stall(): void {
    this.#client.stall()
  }

  /** Drops the connection. */
  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]()
  }

  #take(payload: Buffer): void {
    this.#note()
    this.#lastMs = performance.now()
    try {
      if (this.#reader.push(Buffer.from(payload)) > 0) this.#news.dispatchEvent(new Event('tick'))
    } catch (error) {
      this.#damage ??= error as Error
    }
  }

  #note(): void {
    if (this.isOpen) this.#worstGapMs = Math.max(this.#worstGapMs, performance.now() - this.#lastMs)
  }
}
