/**
 * Counts a native session's buffered bytes in the memory budget for slow clients. Polls once a second: a channel never
 * buffers more than a few reads, and counting each message would slow the relay down.
 */
import type { BufferBudget, Buffering } from '../../session/buffer-budget.ts'
import type { SpiceSession } from './session.ts'

const POLL_EVERY_MS = 1_000

/** Counts the session's bytes in `budget` until it ends. The budget may end the session. */
export function countBuffered(session: SpiceSession, budget: BufferBudget): void {
  const part = new SessionPart(session, budget)
  const poll = setInterval(() => part.count(), POLL_EVERY_MS)
  session.ended.then(() => {
    clearInterval(poll)
    part.release()
  })
}

class SessionPart implements Buffering {
  /** The bytes that are currently counted in the budget. */
  bufferedBytes = 0
  readonly #session: SpiceSession
  readonly #budget: BufferBudget

  constructor(session: SpiceSession, budget: BufferBudget) {
    this.#session = session
    this.#budget = budget
  }

  /** The start of the longest pending write, over all channels. */
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
