/** The list of open sessions. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Ending } from './ending.ts'
import type { OpenSession, SessionView } from './open-session.ts'

/** A session by which a page has come back. */
export interface LaterSession {
  readonly id: string
  /** Names the tickets of the page. */
  readonly handle: string
  /** Milliseconds since the epoch. */
  readonly startedMs: number
}

export class Sessions {
  readonly #open = new Map<string, OpenSession>()
  /** The sessions that a stopping proxy still waits for. Others may open meanwhile. */
  #draining: { readonly left: Set<OpenSession>; readonly drained: () => void } | undefined

  /** Adds a session until {@link remove}. */
  add(session: OpenSession): void {
    this.#open.set(session.id, session)
  }

  /** Removes a session, because its client's connection is closed. */
  remove(session: OpenSession): void {
    if (this.#open.get(session.id) === session) this.#open.delete(session.id)
    this.#draining?.left.delete(session)
    if (this.#draining?.left.size === 0) this.#draining.drained()
  }

  get size(): number {
    return this.#open.size
  }

  list(): readonly SessionView[] {
    return this.open().map(({ view }) => view)
  }

  open(): readonly OpenSession[] {
    return [...this.#open.values()]
  }

  /** Ends the session with this id. Returns whether it existed. */
  end(id: string, ending: Ending): boolean {
    const session = this.#open.get(id)
    session?.end(ending)
    return session !== undefined
  }

  /**
   * Ends, as taken over, the earlier sessions of a page that has come back. Searches all sessions, because only such a page
   * needs that.
   */
  endEarlier(later: LaterSession): void {
    for (const session of this.#open.values()) {
      if (session.handle === later.handle && isEarlier(session.view, later))
        session.end({ reason: 'taken_over', detail: `by session ${later.id}, which resumed it` })
    }
  }

  /** Ends every session as `draining`, waits up to `deadlineMs` for the clients to close, and drops the others. */
  async drain(deadlineMs: number): Promise<void> {
    const open = this.open()
    if (open.length === 0) return
    const { promise: closed, resolve: drained } = Promise.withResolvers<void>()
    this.#draining = { left: new Set(open), drained }
    for (const session of open) session.end({ reason: 'draining' })
    const late = new AbortController()
    const deadline = delay(deadlineMs, undefined, { signal: late.signal }).catch(() => {})
    await Promise.race([closed, deadline])
    late.abort()
    for (const session of this.open()) session.terminate()
    await closed
  }
}

/** Of two sessions that resume the same one at the same moment, one must stay: the later one, or the one with the higher id. */
const isEarlier = ({ id, startedAt }: SessionView, later: LaterSession): boolean =>
  startedAt.getTime() < later.startedMs || (startedAt.getTime() === later.startedMs && id < later.id)
