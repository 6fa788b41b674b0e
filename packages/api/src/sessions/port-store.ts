/**
 * The port for consoles that serve one connection, such as serial ports. One proxy holds such a console, and dials it for all
 * of its viewers. A proxy that finds it held elsewhere can take it over; it dials once the holder has closed its connection.
 */
import type { ConsoleType } from '@oriel/contract'
import type { SessionRecord } from './store.ts'

/** A proxy is about to dial a console. */
export interface PortClaim {
  readonly serverId: string
  readonly type: ConsoleType
  readonly proxyId: string
  /** The session for which it dials. Null: none, since it stays connected without viewers. */
  readonly sessionId: string | null
  /** Whether to take the console over from the sessions at another proxy. */
  readonly takeOver: boolean
  /**
   * Whether to hold the right of the one session that controls the console, instead of the connection to it. Sessions of
   * watchers need no such right. Default: false.
   */
  readonly exclusive?: boolean | undefined
  /** A proxy that did not report for longer holds nothing. */
  readonly silentMs: number
  /** The same for a session that resumes another, whose page may have lost its console because its proxy crashed. Shorter. */
  readonly resumedSilentMs: number
}

/** The proxy that holds a console. */
export interface PortHolder {
  readonly proxyId: string
  /** Milliseconds since the epoch. */
  readonly since: number
  /** Its open sessions of the console, the oldest first. */
  readonly sessions: readonly SessionRecord[]
}

/** The caller's hold, or the holder in its way. */
export type PortState =
  | { readonly holdId: string; readonly ready: boolean; readonly takenFrom?: PortHolder }
  | {
      readonly heldBy: PortHolder
      /** Whether the claim's session resumes another, and the holder has not reported since that began. */
      readonly mayBeLost: boolean
    }

/** A hold that another proxy has taken over and that its proxy has not released. */
export interface YieldingHold {
  readonly holdId: string
  /** The proxy that must release it: the caller, or another process of its group. */
  readonly proxyId: string
  /** The sessions to end. */
  readonly sessions: readonly SessionRecord[]
}

/** Every method throws `StoreUnavailable` while the database is unavailable. */
export interface PortStore {
  /** Records the group of processes with which a proxy shares its ports. They count as one holder. */
  group(proxyId: string, group: string): Promise<void>
  /**
   * Holds a console for a proxy, atomically: of two concurrent claims one succeeds. It succeeds if no proxy holds the console, if
   * the holder is the claim's own proxy or is silent, if it has no sessions of the console but those that the claim's session
   * resumes, or if the claim takes over. A console that is being taken over cannot be taken over again.
   */
  hold(claim: PortClaim): Promise<PortState>
  /** Returns the state of a proxy's hold, or `undefined` if it holds nothing under this id. */
  find(proxyId: string, holdId: string, silentMs: number): Promise<PortState | undefined>
  /**
   * Releases a hold. A console that an earlier holder has still to close returns to that one. Does nothing for an unknown id.
   */
  release(proxyId: string, holdId: string): Promise<void>
  /** Returns the holds that a proxy, or its group, has lost to others, each with this proxy's own sessions. */
  yielding(proxyId: string): Promise<readonly YieldingHold[]>
}
