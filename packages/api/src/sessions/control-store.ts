/**
 * The port for consoles that sessions at several proxies have open: who is there, and which session alone has control. A
 * proxy decides among its own sessions; between proxies, the store decides.
 */
import type { ConsoleType } from '@oriel/contract'
import type { SessionRecord } from './store.ts'

/** A console of one server. */
export interface ConsoleName {
  readonly serverId: string
  readonly type: ConsoleType
}

/** A console as one proxy sees it. Processes of its group count as the same proxy. */
export interface ConsoleControl extends ConsoleName {
  /** Counts the moves of control. */
  readonly revision: number
  /** The open sessions at other proxies, the oldest first. */
  readonly elsewhere: readonly SessionRecord[]
  /** The session that alone has control, at whatever proxy. Null: all whose role is `control`. */
  readonly heldBy: string | null
  /** Whether it may send input: not while the proxy of the session that lost control has still to withhold its input. */
  readonly ready: boolean
  /** The open sessions that request control, the earliest first. */
  readonly requestedBy: readonly string[]
}

/** Control is to move because of a session of the caller. */
export interface ControlMove {
  readonly session: SessionRecord
  /** The session that has control, as the caller knows. Null: all whose role is `control`. */
  readonly from: string | null
  readonly to: string | null
}

/** Every method throws `StoreUnavailable` while the database is unavailable. */
export interface ControlStore {
  /**
   * Returns the consoles that a proxy, or its group, has open together with others.
   * @param silentMs proxies that did not report for longer do not count
   */
  shared(proxyId: string, silentMs: number): Promise<readonly ConsoleControl[]>
  /** Whether {@link shared} returns any. Cheaper. */
  sharesAny(proxyId: string, silentMs: number): Promise<boolean>
  /** Returns a console as a proxy sees it. */
  show(proxyId: string, console: ConsoleName): Promise<ConsoleControl>
  /**
   * Moves control, atomically. Does nothing if `to` is not an open session of the console. From a session at another proxy,
   * control moves only if that is `from`, and only to the caller's session, which must not be invited if `from` moderates. If
   * control leaves another proxy's session, that session yields until {@link applied}, or until it ends.
   */
  move(move: ControlMove): Promise<void>
  /** Records that a session requests control, or does not any more. */
  request(session: SessionRecord, wants: boolean): Promise<void>
  /**
   * Records that a proxy withholds the input of its sessions that do not have control of these consoles as of these revisions.
   * Returns the servers for which another proxy has waited for that.
   */
  applied(
    proxyId: string,
    consoles: readonly Pick<ConsoleControl, 'serverId' | 'type' | 'revision'>[],
  ): Promise<readonly string[]>
}
