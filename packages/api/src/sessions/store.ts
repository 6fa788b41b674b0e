/** The port for records of sessions: user, console, proxy, start, end, and the reason of the end. */
import {
  type CloseReasonName,
  type ConsoleRole,
  type ConsoleType,
  type EndReason,
  type Protocol,
  refusalNames,
} from '@oriel/contract'

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
  /** Default: `control`. */
  readonly role?: ConsoleRole
  readonly label?: string | null
  /** The invitation that it came with. */
  readonly invitationId?: string | null
  /** The id of the single-use token that it used. */
  readonly usedTokenId?: string | null
  /** Whether its page may invite to it. Default: no. */
  readonly mayInvite?: boolean
}

/** The record of a session. Times are milliseconds since the epoch. */
export interface SessionRecord extends Required<NewSession>, ByteCounts {
  readonly id: string
  readonly startedAt: number
  /** Null while the session is open. */
  readonly endedAt: number | null
  readonly endReason: EndReason | typeof PROXY_LOST | null
  /** The reason for which the proxy must close it, if a caller has requested that. */
  readonly endWanted: CloseReasonName | null
}

/** The end reason of a session whose proxy stopped reporting, or no longer reports the session. */
export const PROXY_LOST = 'proxy_lost'

/** How long after its end a session may be resumed at most. Proxies accept tickets for as long, or shorter. */
export const RESUMABLE_MS = 86_400_000

/** The reasons of ends after which a session may not be resumed: a caller or an operator decided them. */
export const FINAL_ENDS: readonly string[] = ['ended', 'revoked'] satisfies CloseReasonName[]

/** The reasons of ends of sessions that may never have opened: the proxy refused them, or the client left before. */
export const UNOPENED_ENDS: readonly string[] = [...refusalNames, 'client_lost'] satisfies EndReason[]

/** Bytes of the console's protocol. */
export interface ByteCounts {
  readonly bytesToClient: number
  readonly bytesToConsole: number
}

/** A proxy's report: all its open sessions, and those that ended since its last report. */
export interface Beat {
  readonly open: readonly ({ readonly id: string } & ByteCounts)[]
  readonly ended: readonly EndedSession[]
}

export interface EndedSession extends ByteCounts {
  readonly id: string
  readonly endedAt: number
  readonly reason: EndReason
}

/** The result of a beat. */
export interface BeatOutcome {
  /** The sessions that the proxy must close, with reasons: a caller has requested it, or the record has ended. */
  readonly end: readonly { readonly id: string; readonly reason: CloseReasonName }[]
  /** Sessions that were open until this beat. */
  readonly ended: readonly SessionRecord[]
  /** Sessions that counted as lost and that the proxy still has open. */
  readonly returned: readonly SessionRecord[]
}

export interface SessionFilter {
  /** Absent: all projects. */
  readonly projectId?: string | undefined
  readonly serverId?: string | undefined
  readonly userId?: string | undefined
  readonly state?: 'open' | 'ended' | undefined
  /** Only sessions that come after this one in the list. */
  readonly after?: Pick<SessionRecord, 'id' | 'startedAt'> | undefined
  readonly limit: number
}

/** Every method throws `StoreUnavailable` while the database is unavailable. */
export interface SessionStore {
  /**
   * Binds a proxy's id to the credential that uses it, and returns whether `owner` owns the id. The first owner keeps the id
   * until the proxy is lost: it did not report for longer than `silentMs`, and has no open session.
   */
  claimProxy(proxyId: string, owner: string, silentMs: number): Promise<boolean>
  /** Adds a session under a new id. Counts as a report of its proxy. @param resumes the session that it resumes */
  add(session: NewSession, resumes?: string): Promise<SessionRecord>
  /** Returns the session with exactly this id, open or ended. */
  find(id: string): Promise<SessionRecord | undefined>
  /** Returns those of the sessions that are of this proxy, by id. */
  findOfProxy(proxyId: string, ids: readonly string[]): Promise<ReadonlyMap<string, SessionRecord>>
  /**
   * Returns a session that a page may resume: one that is open or ended less than {@link RESUMABLE_MS} ago, unless it, or a
   * session of its chain of resumed sessions, was ended or revoked.
   */
  findResumable(id: string): Promise<SessionRecord | undefined>
  /** Returns sessions, newest first. */
  list(filter: SessionFilter): Promise<readonly SessionRecord[]>
  /**
   * Applies a proxy's report, idempotently: a session keeps the end that was reported first. Sessions that the report lacks
   * count as lost if they are older than `unnamedMs`. Reported ends are clamped to the time between the session's start and
   * now, and byte counts never decrease.
   */
  beat(proxyId: string, beat: Beat, unnamedMs: number): Promise<BeatOutcome>
  /** Ends the record of an open session without waiting for its proxy. Returns `undefined` if it had ended. */
  end(id: string, reason: EndReason): Promise<SessionRecord | undefined>
  /**
   * Requests that the proxy closes a session, and forbids that it is resumed, even if it has ended. Returns whether the proxy
   * has still to close it.
   */
  wantEnd(id: string, reason: CloseReasonName): Promise<boolean>
  /** Requests the same for all sessions of a server, and returns their number. */
  wantServerEnd(serverId: string, reason: CloseReasonName): Promise<number>
  /** Requests the same for all sessions that came with an invitation, and returns their number. */
  wantInvitedEnd(invitationId: string, reason: CloseReasonName): Promise<number>
  /** Withdraws the request to close a session because its server has moved: the session goes on at the new address. */
  keepMoved(id: string): Promise<void>
  /** Ends, as lost, the open sessions of proxies that did not report for longer than `silentMs`, and returns them. */
  endLost(silentMs: number): Promise<readonly SessionRecord[]>
  /**
   * Deletes sessions that ended, and proxies that last reported, longer ago than `ageMs`. Returns the number of sessions.
   */
  forget(ageMs: number): Promise<number>
  /** Throws while the store is unavailable or read-only. The result may be up to a second old. */
  check(): Promise<void>
}
