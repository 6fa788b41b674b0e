/**
 * Limits the memory for output to slow clients, over all sessions of this process. As it fills, each session may hold less.
 * Beyond the limit, the sessions whose clients have read nothing for the longest are dropped.
 */

/** A session whose buffered bytes are counted. */
export interface Buffering {
  /** The bytes that wait for its client. */
  readonly bufferedBytes: number
  /** When its client last read something, on the monotonic clock. */
  readonly stalledSinceMs: number
  /** Ends the session and subtracts its bytes. Sends no close frame, which would wait behind them. */
  drop(): void
}

/** One of the largest reads. Measured: with more, the relay is not faster, and with smaller ones slower. */
export const MAX_LENT_BYTES = 512 * 1024
/** With less, the relay makes a system call for each few KiB. */
export const MIN_LENT_BYTES = 16 * 1024
/** Clients that pause for less are never dropped: a browser may be drawing, or TCP retransmitting. */
const GRACE_MS = 1_000

export class BufferBudget {
  /** The limit. */
  readonly maxBytes: number
  /** The bytes in use. Relays change this number directly, because a call for each piece would cost more. */
  bytes = 0
  readonly #graceMs: number
  /** Sessions whose clients do not keep up. */
  readonly #blocked = new Set<Buffering>()
  #timer: NodeJS.Timeout | undefined

  constructor(maxBytes: number, graceMs: number = GRACE_MS) {
    this.maxBytes = maxBytes
    this.#graceMs = graceMs
  }

  /** The bytes that one session may hold: the maximum while half of the budget is free, then less and less. */
  get lentLimit(): number {
    const room = this.maxBytes - this.bytes
    if (room * 2 >= this.maxBytes) return MAX_LENT_BYTES
    return Math.max(MIN_LENT_BYTES, Math.floor((MAX_LENT_BYTES * 2 * room) / this.maxBytes))
  }

  /** The limit of one read. While the client keeps up, the system takes it before the next one comes. */
  readonly readLimit = (): number => this.lentLimit

  /** Reports that the session's client does not keep up. May be called repeatedly. */
  blocked(session: Buffering): void {
    this.#blocked.add(session)
    if (this.bytes > this.maxBytes) this.#dropLater()
  }

  /** Reports that the session's client keeps up again, or that the session has ended. */
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
