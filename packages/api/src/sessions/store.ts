/** The port that keeps sessions: who looks at which console through which proxy, until when, and why no longer. */
import type { CloseReasonName, ConsoleType, EndReason, Protocol } from '@oriel/contract'

/** A session that a proxy was admitted to open. */
export interface NewSession {
  readonly serverId: string
  readonly serverName: string
  readonly projectId: string
  readonly userId: string
  readonly protocol: Protocol
  readonly type: ConsoleType
  readonly clientAddress: string
  readonly proxyId: string
}

/** A session as it is kept. Times are milliseconds since the epoch. */
export interface SessionRecord extends NewSession, ByteCounts {
  readonly id: string
  readonly startedAt: number
  /** Null while it is open. */
  readonly endedAt: number | null
  readonly endReason: EndReason | typeof PROXY_LOST | null
  /** Why its proxy is to end it, if anybody wants that. */
  readonly endWanted: CloseReasonName | null
}

/** Why a session ended whose proxy fell silent, or does not know it any more. */
export const PROXY_LOST = 'proxy_lost'

/** Bytes of the console's protocol. */
export interface ByteCounts {
  readonly bytesToClient: number
  readonly bytesToConsole: number
}

/** What a proxy tells: every session that it has open, and those that ended since it was last heard. */
export interface Beat {
  readonly open: readonly ({ readonly id: string } & ByteCounts)[]
  readonly ended: readonly EndedSession[]
}

export interface EndedSession extends ByteCounts {
  readonly id: string
  readonly endedAt: number
  readonly reason: EndReason
}

/** What a beat changed. */
export interface BeatOutcome {
  /** The sessions that the proxy must close, and why: those that a caller wants ended, and those that are over in the records. */
  readonly end: readonly { readonly id: string; readonly reason: CloseReasonName }[]
  /** Sessions that were open until this beat. */
  readonly ended: readonly SessionRecord[]
  /** Sessions that counted as lost, and which the proxy has open after all. */
  readonly returned: readonly SessionRecord[]
}

export interface SessionFilter {
  /** Absent: of every project. */
  readonly projectId?: string | undefined
  readonly serverId?: string | undefined
  readonly userId?: string | undefined
  readonly state?: 'open' | 'ended' | undefined
  /** Only sessions that stand after this one in the list. */
  readonly after?: Pick<SessionRecord, 'id' | 'startedAt'> | undefined
  readonly limit: number
}

/** Every method throws `StoreUnavailable` while the database does not answer. */
export interface SessionStore {
  /**
   * Binds a proxy's id to the credential that uses it, and returns whether `owner` may speak for the proxy. The first owner
   * keeps the id until the proxy is lost: it was silent for longer than `silentMs` and has no open session.
   */
  claimProxy(proxyId: string, owner: string, silentMs: number): Promise<boolean>
  /** Keeps a new session under a new id; a sign of life of its proxy. */
  add(session: NewSession): Promise<SessionRecord>
  /** The session with exactly this id, open or ended. */
  find(id: string): Promise<SessionRecord | undefined>
  /** Sessions, newest first. */
  list(filter: SessionFilter): Promise<readonly SessionRecord[]>
  /**
   * Keeps what a proxy tells. A session that ended stays as it first ended, so the same beat may come twice. Sessions of
   * the proxy that it does not name count as lost once they are older than `unnamedMs`. Reported ends are clamped to the
   * time between the session's start and now, and byte counts never go down.
   */
  beat(proxyId: string, beat: Beat, unnamedMs: number): Promise<BeatOutcome>
  /** Ends one open session now, whatever its proxy knows. `undefined` if it had ended. */
  end(id: string, reason: EndReason): Promise<SessionRecord | undefined>
  /** Has one session ended by its proxy. Says whether the proxy has still to do that. */
  wantEnd(id: string, reason: CloseReasonName): Promise<boolean>
  /** The same for all sessions of a server; says how many. */
  wantServerEnd(serverId: string, reason: CloseReasonName): Promise<number>
  /** Ends, as lost, the open sessions of proxies that were silent for longer than this; says which. */
  endLost(silentMs: number): Promise<readonly SessionRecord[]>
  /** Forgets sessions that ended, and proxies that fell silent, longer ago than this; says how many sessions. */
  forget(ageMs: number): Promise<number>
  /** Throws while the store cannot answer or is read-only. The result may be up to a second old. */
  check(): Promise<void>
}
