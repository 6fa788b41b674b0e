/**
 * Decides when an element dials again after it has lost a console: with growing pauses, and a limited number of times.
 */
import { closeReasons } from '@oriel/contract'
import type { ConsoleEnd } from './console-end.ts'

/** Pause before the first retry; it doubles from one retry to the next. */
export const firstPauseMs = 1_000
export const longestPauseMs = 15_000
/** The longest wait that a proxy can ask for. In seconds. */
export const longestWaitSeconds = 120
/** About two minutes of attempts: a console auth token lives for minutes, so later attempts would fail. */
export const maxAttempts = 10
/** After a connection that lasted this long, the pauses start from the first one again. */
export const stableAfterMs = 10_000

export interface Loss {
  readonly end: ConsoleEnd
  /** How long the console had been connected; 0 if it never was. */
  readonly connectedMs: number
}

/** The attempts of one console. `random` (0 to 1) spreads the pauses, so that many consoles do not dial at once. */
export class ReconnectPlan {
  readonly #random: () => number
  #attempts = 0
  #wasConnected = false

  constructor(random: () => number = Math.random) {
    this.#random = random
  }

  /** The number of retries since the console was last connected. */
  get attempts(): number {
    return this.#attempts
  }

  /** Whether the console was connected at least once. */
  get wasConnected(): boolean {
    return this.#wasConnected
  }

  /**
   * Returns the pause before the next attempt, milliseconds, or `undefined` if the user should decide. The pause is at
   * least as long as the proxy asked for, up to {@link longestWaitSeconds}.
   */
  next({ end, connectedMs }: Loss): number | undefined {
    if (connectedMs > 0) this.#wasConnected = true
    if (connectedMs >= stableAfterMs) this.#attempts = 0
    if (!this.#worthRetrying(end) || this.#attempts >= maxAttempts) return undefined
    // A machine that moved is ready: the proxy has waited for it.
    const isReady = end.code === closeReasons.moved.code && this.#attempts === 0
    const pauseMs = isReady ? 0 : Math.min(firstPauseMs * 2 ** this.#attempts, longestPauseMs)
    this.#attempts += 1
    const spreadMs = Math.round(pauseMs * (0.75 + this.#random() / 2))
    return Math.max(spreadMs, 1_000 * Math.min(end.retryAfterSeconds ?? 0, longestWaitSeconds))
  }

  // Once the console was connected, a failure to open may come from a restarting proxy. After an idle limit the user is
  // away, and dialling again would defeat the limit.
  #worthRetrying({ code, remedy }: ConsoleEnd): boolean {
    if (code === closeReasons.idle.code) return false
    return remedy === 'reconnect' || (code === 1006 && this.#wasConnected)
  }
}
