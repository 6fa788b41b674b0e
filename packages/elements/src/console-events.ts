/** The states and events of the console elements, and the session that each opens. */
import type { PresenceParticipant, PresenceState } from '@oriel/contract'
import type { ConsoleEnd, Disconnection } from './console-end.ts'

/** `idle`: there is no address. `waiting`: a pause before the next attempt. `ended`: the user must act. */
export type ConsoleState = 'idle' | 'connecting' | 'connected' | 'waiting' | 'ended'

/** The new state; for `waiting` and `ended` also why. */
export type StateChange =
  | { readonly state: 'idle' | 'connecting' | 'connected' }
  | ({ readonly state: 'waiting' | 'ended' } & Disconnection)

/** The sessions that have a console open, the oldest first, and the id of this one among them. */
export interface Viewers {
  readonly viewers: readonly PresenceParticipant[]
  readonly you: string | undefined
}

/** The events of every console element. None of them bubbles. */
export interface ConsoleEventMap {
  statechange: CustomEvent<StateChange>
  connect: CustomEvent<null>
  disconnect: CustomEvent<Disconnection>
  /**
   * The user pressed Ctrl+Alt+Shift to leave the console. No element has the focus then, unless a listener moves it.
   */
  release: CustomEvent<null>
  /**
   * The participants of this console, or control of it, have changed. `null`: the proxy has no presence for this console.
   */
  presence: CustomEvent<{ state: PresenceState | null }>
  /** Who has the console open has changed. Empty: the proxy does not say so. Show labels as text, never as markup. */
  viewers: CustomEvent<Viewers>
  /** The round trip between page and proxy has been measured, and has changed. */
  latency: CustomEvent<{ ms: number }>
  /** The proxy refused a request for control. Show `text` as text, never as markup. */
  presencerefused: CustomEvent<{ text: string }>
  /** A reload of the page comes back to the console if the page's address has `handle` in place of the token. */
  resumable: CustomEvent<{ handle: string }>
}

/** One connection to one console, from dialling to its end. */
export interface ConsoleSession {
  /** Milliseconds since the console was connected; 0 if it never was. */
  connectedMs(): number
  /** Ends the session at the user's request. */
  close(): void
  /** Milliseconds since the last data of the console. Absent: unknown. */
  silentMs?(): number
}

/** The callbacks of a session. */
export interface SessionEvents {
  connect(): void
  /** Called exactly once, after all other callbacks. */
  end(end: ConsoleEnd): void
}
