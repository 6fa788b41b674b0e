/** An open session as the other parts of the proxy see it, whatever its console type. */
import type { ConsoleRole, EndReason } from '@oriel/contract'
import type { ServedConsoleType } from '../consoles/kinds.ts'
import type { Ending } from './ending.ts'

/** The token, instance and client that a session counts towards. */
export interface SessionParties {
  readonly tokenDigest: string
  readonly instance: string
  readonly client: string
}

/** The facts of a session at its start. They have the token's digest, which is enough to tell sessions apart, not the token. */
export interface SessionFacts extends SessionParties {
  readonly type: ServedConsoleType
  readonly role: ConsoleRole
  /** A name for people, which the creator of the console chose. Absent: it has none. */
  readonly label?: string
  /** The `host:port` of the listener through which the client came. */
  readonly listener: string
}

/** The public view of a session, which its log records carry too. */
export interface SessionView extends SessionFacts {
  readonly id: string
  readonly startedAt: Date
  readonly bytesToClient: number
  readonly bytesToConsole: number
}

/** A session of any console type, with what listing and ending it needs. */
export interface OpenSession {
  readonly id: string
  readonly view: SessionView
  /** When the client last sent something, on the monotonic clock. */
  readonly lastInputMs: number
  /** Names the tickets with which the page of this session resumes it. */
  readonly handle?: string | undefined
  /** The memory of bytes that wait for the client. Absent if unknown. */
  readonly bufferedBytes?: number
  /**
   * Reports that, according to the authority, the machine runs on another host. Returns whether the session follows it. Absent:
   * it does not.
   */
  machineMoved?(): boolean
  /** Ends the session. Later calls have no effect. */
  end(ending: Ending): void
  /** Drops the client's connections at once. */
  terminate(): void
}

/** Reports a session to the authority that admitted it. */
export interface SessionRecord {
  /** The authority's id of the session. */
  readonly id: string
  /** Reports that the session is open. The authority then gets its byte counts and may end it. Repeated when a viewer reconnects. */
  opened(session: Pick<OpenSession, 'view' | 'end' | 'machineMoved'>): void
  /** Reports that the session has control now, or has not. Counts once the session is open. */
  control(hasControl: boolean): void
  /** Reports that the session ended, or was refused before it opened. The first call counts. @param at default: now */
  ended(reason: EndReason, at?: Date): void
}
