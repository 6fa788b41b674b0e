/** Keeps connections open from one call of a tool to the next. */
import { Failure } from '../failure.ts'

/** A connection as the pool needs it. */
export interface Pooled {
  /** Resolves when the connection has ended, for any reason. */
  readonly ended: Promise<unknown>
  close(): Promise<void>
}

/** Opens a connection. The signal aborts at the end of the pool. */
export type Opener<T> = (signal: AbortSignal) => Promise<T>

export interface PoolOptions {
  /** After how long without a call a connection is closed, in milliseconds. Default: five minutes. */
  readonly idleMs?: number
  /** The most connections at a time. Default: 16. */
  readonly max?: number
}

interface Entry<T> {
  readonly key: string
  readonly opened: Promise<T>
  users: number
  idle?: NodeJS.Timeout
}

/** One connection for each key, while it is used and for a time after. */
export class Pool<T extends Pooled> {
  readonly #idleMs: number
  readonly #max: number
  /** In the order of their last use. */
  readonly #entries = new Map<string, Entry<T>>()
  readonly #closing = new AbortController()

  constructor({ idleMs = 300_000, max = 16 }: PoolOptions = {}) {
    this.#idleMs = idleMs
    this.#max = max
  }

  /**
   * Calls `work` with the connection of `key`, which it opens for the first call and after the last one has ended.
   * @throws Failure if all connections are in use, or after {@link Pool.close}; what `open` or `work` throws
   */
  async use<R>(key: string, open: Opener<T>, work: (connection: T) => Promise<R>): Promise<R> {
    const entry = this.#enter(this.#entries.get(key) ?? this.#create(key, open))
    try {
      return await work(await entry.opened)
    } finally {
      this.#leave(entry)
    }
  }

  /** Closes all connections, those too that are being opened. */
  async close(): Promise<void> {
    this.#closing.abort(new Failure('failed', 'oriel mcp has ended. Start it again.'))
    await Promise.all([...this.#entries.values()].map((entry) => this.#drop(entry)))
  }

  #create(key: string, open: Opener<T>): Entry<T> {
    const { signal } = this.#closing
    signal.throwIfAborted()
    this.#makeRoom()
    const entry = { key, opened: open(signal), users: 0 }
    const forget = () => this.#forget(entry)
    entry.opened.then(({ ended }) => ended).then(forget, forget)
    return entry
  }

  #enter(entry: Entry<T>): Entry<T> {
    clearTimeout(entry.idle)
    entry.users += 1
    this.#entries.delete(entry.key)
    this.#entries.set(entry.key, entry)
    return entry
  }

  #leave(entry: Entry<T>): void {
    entry.users -= 1
    const isIdle = entry.users === 0 && this.#entries.get(entry.key) === entry
    if (isIdle) entry.idle = setTimeout(() => this.#drop(entry), this.#idleMs)
  }

  /** Closes the connection that has been idle for longest if there is no room for another. */
  #makeRoom(): void {
    if (this.#entries.size < this.#max) return
    const idle = [...this.#entries.values()].find(({ users }) => users === 0)
    if (idle === undefined)
      throw new Failure('failed', `${this.#max} consoles are in use. Wait until a call of another tool has ended.`)
    void this.#drop(idle)
  }

  /** A connection that could not be opened needs no closing. */
  async #drop(entry: Entry<T>): Promise<void> {
    this.#forget(entry)
    await entry.opened.then((connection) => connection.close()).catch(() => {})
  }

  #forget(entry: Entry<T>): void {
    clearTimeout(entry.idle)
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key)
  }
}
