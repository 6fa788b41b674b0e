/**
 * Consoles that other proxies have open too: the sessions there, and which session of all has control. Within a proxy its own
 * rules decide; between proxies the authority does.
 */
import type { ControlDecision } from './grant.ts'
import type { Participant, SharedConsoleName } from './shared-consoles.ts'

/** A console that sessions at other proxies have open too, as the authority sees it. */
export interface ConsoleElsewhere extends Pick<SharedConsoleName, 'instance' | 'type'>, ControlDecision {
  /** Counts the moves of control. */
  readonly revision: number
  /** The sessions at other proxies. */
  readonly participants: readonly Participant[]
}

/** Control is to move, or a session begins or ceases to request it. `null`: all whose role is `control`. */
export type ControlStep = { readonly from: string | null; readonly to: string | null } | { readonly requests: boolean }

/** Decides which session has control among those of several proxies. */
export interface Arbiter {
  /**
   * Asks for a step on behalf of a session. Another proxy's step may have come first.
   * @returns the console afterwards; `undefined` if the arbiter does not decide about it
   * @throws the error of the request
   */
  ask(sessionId: string, step: ControlStep): Promise<ConsoleElsewhere | undefined>
}

/** Receives the authority's answers about sessions at other proxies. */
export interface ElsewhereListener {
  /** Receives a console of which a session is about to open, or control has moved. Ignores a revision that is not newer. */
  learn(console: ConsoleElsewhere): void | Promise<void>
  /**
   * Receives all consoles that sessions at other proxies have open too. Resolves once the input of this proxy's sessions is switched.
   * `undefined`: the authority has not answered for so long that this proxy decides alone.
   */
  show(consoles: readonly ConsoleElsewhere[] | undefined): void | Promise<void>
}
