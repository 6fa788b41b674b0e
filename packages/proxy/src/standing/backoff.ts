/** The pauses between attempts to open a serial port. */
export interface StandingTimes {
  /** The pause after the first failed attempt. It doubles with each further one. */
  readonly firstPauseMs: number
  /** The longest pause while a machine may be restarting. */
  readonly maxPauseMs: number
  /** How long a machine may take to restart. Until then its viewers stay attached. */
  readonly restartMs: number
  /** The pause after that, and after the machine has shown another protocol than that of a terminal. */
  readonly slowPauseMs: number
}

/** A QEMU that restarts is dialled within half a second. */
export const STANDING_TIMES: StandingTimes = {
  firstPauseMs: 50,
  maxPauseMs: 400,
  restartMs: 60_000,
  slowPauseMs: 5_000,
}

/** Returns pauses that grow, and that are long once a machine has been away for longer than a restart takes. */
export class Backoff {
  readonly #times: StandingTimes
  #nextMs: number
  #passedMs = 0

  constructor(times: StandingTimes) {
    this.#times = times
    this.#nextMs = times.firstPauseMs
  }

  next(): number {
    const { maxPauseMs, restartMs, slowPauseMs } = this.#times
    if (this.#passedMs >= restartMs) return slowPauseMs
    const pauseMs = this.#nextMs
    this.#passedMs += pauseMs
    this.#nextMs = Math.min(pauseMs * 2, maxPauseMs)
    return pauseMs
  }
}
