/**
 * The port through which sessions and pages reach the consoles that they share. Its implementations are `LocalConsoles`, for
 * one process, and that of a worker, which calls the primary.
 */
import type { CloseReasonName, ConsoleRole, PresenceConsoleRequest, PresenceState } from '@oriel/contract'

/** A session, as the pages of its console see it. */
export interface Participant {
  readonly id: string
  readonly role: ConsoleRole
  readonly label?: string
  /** Whether somebody else's session invited it. */
  readonly invited?: boolean
  /** When the session started and when it ends at the latest, in milliseconds since 1970. */
  readonly sinceMs: number
  readonly endsAtMs?: number
}

/** Where a session reads whether it may send input. */
export interface InputSwitch {
  mayInput: boolean
}

/** A console that several sessions may have open. */
export interface SharedConsoleName {
  readonly instance: string
  readonly type: string
  readonly host: string
  readonly port: number
}

export type ConsoleAddress = Pick<SharedConsoleName, 'host' | 'port'>

/** The part of a page's state that its console decides. The connection to the page adds the latency and the invitations. */
export type PresenceView = Omit<PresenceState, 'latency_ms' | 'may_invite' | 'invitations'>

/** The presence WebSocket of a page. */
export interface PresencePage {
  show(view: PresenceView): void
  /** Closes the WebSocket, because the session ended, or because another WebSocket replaced this one (`taken_over`). */
  end(reason: CloseReasonName): void
}

/** A session's place at its console. Disposal does what `leave` does, for a session that did not open. */
export interface Seat extends Disposable {
  /** Leaves the console, and ends the session's page. Later calls have no effect. */
  leave(reason: CloseReasonName): void
}

/** A page that is attached to its session, until disposal. */
export interface AttachedPage extends Disposable {
  /** Carries out a request of the page. Returns a sentence for the user if it is refused. */
  request(request: PresenceConsoleRequest): string | undefined | Promise<string | undefined>
}

export interface SharedConsoles {
  /** Adds a session to its console. Sets `input` at once and whenever control moves. */
  join(console: SharedConsoleName, participant: Participant, input: InputSwitch): Seat | Promise<Seat>
  /**
   * Gives a console, with its sessions and its control, another address: its machine has moved. Joins it with a console that
   * sessions have opened there already.
   */
  move(from: SharedConsoleName, to: ConsoleAddress): void
  /**
   * Attaches a page to its session, and shows it the console at once and after every change. A session has one page: a new
   * one replaces the earlier.
   * @returns `undefined` if the session has ended, or shares no console
   */
  attach(sessionId: string, page: PresencePage): AttachedPage | undefined | Promise<AttachedPage | undefined>
}
