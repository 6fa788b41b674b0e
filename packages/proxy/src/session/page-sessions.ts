/** Finds open sessions by the keys with which their pages opened them. Has the digests of the keys, not the keys. */
import { consoleTypes } from '@oriel/contract'
import type { SessionFacts } from './open-session.ts'

/** An open session that has a page. */
export interface PageSession {
  readonly id: string
  readonly facts: SessionFacts
  /** The sealed grant from which the page gets its tickets. Absent: the session cannot be resumed. */
  readonly grant?: string
  /** Present if the page may invite to the session: the name by which the authority finds it. */
  readonly inviter?: string
}

/** The open sessions that have a page: of this process, or of all workers. */
export interface PageSessions {
  /**
   * Adds a session until disposal. A key names one session: the newest, because a page may dial again before the proxy notices
   * that its earlier connection is lost. The earlier session stays open without a page. But of the channels that a page opens
   * with one token, the key names the first.
   */
  add(keyDigest: string, session: PageSession): Disposable | Promise<Disposable>
  /** Returns the session that the key names. */
  find(keyDigest: string): PageSession | undefined | Promise<PageSession | undefined>
}

export class OpenPages implements PageSessions {
  readonly #sessions = new Map<string, PageSession>()

  add(keyDigest: string, session: PageSession): Disposable {
    const earlier = this.#sessions.get(keyDigest)
    if (!earlier || !isSamePage(earlier, session)) this.#sessions.set(keyDigest, session)
    return {
      [Symbol.dispose]: () => {
        if (this.#sessions.get(keyDigest) === session) this.#sessions.delete(keyDigest)
      },
    }
  }

  find(keyDigest: string): PageSession | undefined {
    return this.#sessions.get(keyDigest)
  }
}

/** Whether two sessions are channels of one page. */
const isSamePage = ({ facts: a }: PageSession, { facts: b }: PageSession) =>
  a.type === b.type && consoleTypes[a.type].channelsShareToken && a.tokenDigest === b.tokenDigest
