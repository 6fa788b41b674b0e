/**
 * Counts a native session in the memory for slow clients. Measures once a second: a channel never holds more than a few
 * reads, and counting each message would slow the relay down.
 */
import type { BufferBudget, Buffering } from '../../session/buffer-budget.ts'
import type { SpiceSession } from './session.ts'

const LOOK_EVERY_MS = 1_000

/** Counts the session's bytes in `budget` until it ends, and lets the budget drop it. */
export function countBuffered(session: SpiceSession, budget: BufferBudget): void {
  const part = new SessionPart(session, budget)
  const look = setInterval(() => part.count(), LOOK_EVERY_MS)
  session.ended.then(() => {
    clearInterval(look)
    part.release()
  })
}

class SessionPart implements Buffering {
  /** The bytes that the budget has counted. */
  bufferedBytes = 0
  readonly #session: SpiceSession
  readonly #budget: BufferBudget

  constructor(session: SpiceSession, budget: BufferBudget) {
    this.#session = session
    this.#budget = budget
  }

  /** The time of the channel that has been stalled for the longest. */
  get stalledSinceMs(): number {
    return Math.min(
      ...[...this.#session.channels].map(({ blockedSinceMs }) => blockedSinceMs ?? Number.POSITIVE_INFINITY),
    )
  }

  count(): void {
    this.#set(this.#session.bufferedBytes)
    if (this.stalledSinceMs === Number.POSITIVE_INFINITY) this.#budget.unblocked(this)
    else this.#budget.blocked(this)
  }

  release(): void {
    this.#set(0)
    this.#budget.unblocked(this)
  }

  drop(): void {
    this.release()
    this.#session.end({ reason: 'client_stalled', detail: 'sessions.max_buffered_mib is reached' })
  }

  #set(bytes: number): void {
    this.#budget.bytes += bytes - this.bufferedBytes
    this.bufferedBytes = bytes
  }
}
