/**
 * The memory that bytes on their way to slow clients may occupy, over all sessions of this process. As it fills, each
 * session may hold less. Beyond it, the sessions whose clients have taken nothing for the longest are dropped.
 */

/** One session's part, as far as it can be dropped. */
export interface Buffering {
  /** What it occupies, in bytes. */
  readonly bufferedBytes: number
  /** When its client last took something, on the monotonic clock. */
  readonly stalledSinceMs: number
  /** Ends the session without a close frame, which could not pass, and counts its bytes as free. */
  drop(): void
}

/** Two of the largest reads; measured: more does not make the relay faster. */
export const MAX_LENT_BYTES = 1024 * 1024
/** With less, the relay makes a system call for each few KiB. */
export const MIN_LENT_BYTES = 16 * 1024
/** Clients that pause for less are never dropped: a browser that draws, or a packet that is sent again. */
const GRACE_MS = 1_000

export class BufferBudget {
  /** What may be occupied. */
  readonly maxBytes: number
  /** What is occupied. Relays add and subtract what they lend: a call for each piece would cost more. */
  bytes = 0
  readonly #graceMs: number
  /** Sessions whose clients do not keep up. */
  readonly #blocked = new Set<Buffering>()
  #timer: NodeJS.Timeout | undefined

  constructor(maxBytes: number, graceMs: number = GRACE_MS) {
    this.maxBytes = maxBytes
    this.#graceMs = graceMs
  }

  /** What one session may have on its way: all it wants while half of the budget is free, then less and less. */
  get lentLimit(): number {
    const room = this.maxBytes - this.bytes
    if (room * 2 >= this.maxBytes) return MAX_LENT_BYTES
    return Math.max(MIN_LENT_BYTES, Math.floor((MAX_LENT_BYTES * 2 * room) / this.maxBytes))
  }

  /** Half of the limit, so that one read goes out while the next one comes. */
  readonly readLimit = (): number => Math.floor(this.lentLimit / 2)

  /** The session's client does not keep up. May be called again while that is so. */
  blocked(session: Buffering): void {
    this.#blocked.add(session)
    if (this.bytes > this.maxBytes) this.#dropLater()
  }

  /** The session's client keeps up, or the session has ended. */
  unblocked(session: Buffering): void {
    this.#blocked.delete(session)
  }

  #dropLater(): void {
    this.#timer ??= setTimeout(() => this.#dropStalled(), this.#graceMs).unref()
  }

  #dropStalled(): void {
    this.#timer = undefined
    const before = performance.now() - this.#graceMs
    const stalled = [...this.#blocked].filter(({ stalledSinceMs }) => stalledSinceMs <= before)
    for (const session of stalled.sort((a, b) => a.stalledSinceMs - b.stalledSinceMs)) {
      if (this.bytes <= this.maxBytes) break
      this.#blocked.delete(session)
      session.drop()
    }
    if (this.bytes > this.maxBytes && this.#blocked.size > 0) this.#dropLater()
  }
}
