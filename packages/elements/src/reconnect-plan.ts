/**
 * Decides when an element dials again after it has lost a console: with growing pauses, and a limited number of times.
 */
import { closeReasons } from '@oriel/contract'
import { type ConsoleEnd, isSwitchedOff } from './console-end.ts'

/** Pause before the first retry; it doubles from one retry to the next. */
export const firstPauseMs = 1_000
export const longestPauseMs = 15_000
/** The longest wait that a proxy can ask for. In seconds. */
export const longestWaitSeconds = 120
/** About two minutes of attempts: a console auth token lives for minutes, so later attempts would fail. */
export const maxAttempts = 10
/** The longest pause before the first retry with a ticket, which comes at once but not for all consoles together. */
export const firstResumeMs = 300
/** Pause between retries with a ticket after those. */
export const slowPauseMs = 60_000
/** The longest pause while the machine is switched off. */
export const longestOffPauseMs = 8_000
/** After a connection that lasted this long, the pauses start from the first one again. */
export const stableAfterMs = 10_000

export interface Loss {
  readonly end: ConsoleEnd
  /** How long the console had been connected; 0 if it never was. */
  readonly connectedMs: number
  /** Whether the page has a ticket, which lives for longer than a token. Default: it has not. */
  readonly canResume?: boolean
}

/** The attempts of one console. `random` (0 to 1) spreads the pauses, so that many consoles do not dial at once. */
export class ReconnectPlan {
  readonly #random: () => number
  #attempts = 0
  /** Attempts in a row for which the machine was switched off. */
  #offAttempts = 0
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

  /** Whether the last end was that of a machine that is switched off. */
  get waitsForMachine(): boolean {
    return this.#offAttempts > 0
  }

  /**
   * Returns the pause before the next attempt, milliseconds, or `undefined` if the user should decide. The pause is at
   * least as long as the proxy asked for, up to {@link longestWaitSeconds}.
   */
  next({ end, connectedMs, canResume = false }: Loss): number | undefined {
    if (connectedMs > 0) this.#wasConnected = true
    if (connectedMs >= stableAfterMs) this.#attempts = 0
    if (isSwitchedOff(end)) return this.#pauseWhileOff()
    this.#offAttempts = 0
    if (!this.#worthRetrying(end) || (this.#attempts >= maxAttempts && !canResume)) return undefined
    const pauseMs = this.#pauseAfter(end, canResume)
    this.#attempts += 1
    return Math.max(pauseMs, 1_000 * Math.min(end.retryAfterSeconds ?? 0, longestWaitSeconds))
  }

  /** Begins anew, because the browser's network is back: the attempts before could not succeed. */
  restart(): void {
    this.#attempts = 0
  }

  /** Waits for as long as the page is open. The attempts begin anew once the machine is on, since it may take a while to start. */
  #pauseWhileOff(): number {
    this.#attempts = 0
    const pauseMs = Math.min(firstPauseMs * 2 ** this.#offAttempts, longestOffPauseMs)
    this.#offAttempts += 1
    return this.#spread(pauseMs)
  }

  #pauseAfter({ code, retryAfterSeconds }: ConsoleEnd, canResume: boolean): number {
    const isFirst = this.#attempts === 0
    // A machine that moved is ready: the proxy has waited for it.
    if (isFirst && code === closeReasons.moved.code) return 0
    if (isFirst && canResume && retryAfterSeconds === undefined) return Math.round(firstResumeMs * this.#random())
    const growing = Math.min(firstPauseMs * 2 ** this.#attempts, longestPauseMs)
    const pauseMs = this.#attempts >= maxAttempts ? slowPauseMs : growing
    return this.#spread(pauseMs)
  }

  #spread(pauseMs: number): number {
    return Math.round(pauseMs * (0.75 + this.#random() / 2))
  }

  // Once the console was connected, a failure to open may come from a restarting proxy. After an idle limit the user is
  // away, and dialling again would defeat the limit.
  #worthRetrying({ code, remedy }: ConsoleEnd): boolean {
    if (code === closeReasons.idle.code) return false
    return remedy === 'reconnect' || (code === 1006 && this.#wasConnected)
  }
}
