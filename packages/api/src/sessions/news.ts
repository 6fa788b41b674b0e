/** Wakes waiting requests of this process when another request to it has changed something. */
import { deadline, within } from '@oriel/runtime'

/** How often waiting requests look for changes by other replicas, which only the database shows. */
export const REPLICA_POLL_MS = 1_000

/** @param serverId the server whose consoles have changed */
type Listener = (serverId: string) => void

export class News {
  readonly #listeners = new Set<Listener>()

  subscribe(listener: Listener): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  notify(serverId: string): void {
    for (const listener of this.#listeners) listener(serverId)
  }
}

/** Remembers a notification between two calls of `next`. */
export class Waiter {
  #woken = Promise.withResolvers<void>()

  wake(): void {
    this.#woken.resolve()
  }

  /** Resolves after the next call of `wake`, after `ms`, or once `signal` aborts. */
  async next(ms: number, signal: AbortSignal): Promise<void> {
    using pause = deadline(ms, signal)
    await within(pause.signal, this.#woken.promise).catch(() => {})
    this.#woken = Promise.withResolvers()
  }
}
