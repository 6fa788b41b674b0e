/** A circuit breaker: after several failures in a row, calls fail at once for a while. */

export interface BreakerOptions {
  /** Failures in a row that open the breaker. Default: 5. */
  readonly threshold?: number
  /** How long it stays open before one call may try again, milliseconds. Default: 5000. */
  readonly restMs?: number
  /** The present, milliseconds. Default: the monotonic clock. */
  readonly now?: () => number
}

/**
 * What a failed call proves: that the service is faulty (`fault`), that it works and refused (`answer`), or neither
 * (`none`).
 */
export type Evidence = 'fault' | 'answer' | 'none'

/** Thrown in place of a call while the breaker is open. */
export class BreakerOpen extends Error {
  override readonly name = 'BreakerOpen'
}

export class Breaker {
  readonly #threshold: number
  readonly #restMs: number
  readonly #now: () => number
  /** Subjects of the failures in a row, at most as many as open the breaker. */
  readonly #failed = new Set<unknown>()
  #openUntil: number | undefined
  #last: unknown

  constructor({ threshold = 5, restMs = 5_000, now = () => performance.now() }: BreakerOptions = {}) {
    this.#threshold = threshold
    this.#restMs = restMs
    this.#now = now
  }

  /** `closed`: calls pass. `open`: calls fail. `trial`: the wait is over, and the next call decides. */
  get state(): 'closed' | 'open' | 'trial' {
    if (this.#openUntil === undefined) return 'closed'
    return this.#now() < this.#openUntil ? 'open' : 'trial'
  }

  /** @throws BreakerOpen if calls may not pass; its cause is the failure that opened the breaker */
  check(): void {
    if (this.state === 'open')
      throw new BreakerOpen(`the last ${this.#failed.size} calls failed`, { cause: this.#last })
  }

  /**
   * Runs `call`, or throws BreakerOpen.
   * @param evidenceOf judges what `call` throws
   * @param subject what the call is about: failures about one and the same subject count once, so that a single broken
   *   one cannot open the breaker for all others. Default: each call counts.
   */
  async run<T>(
    call: () => Promise<T>,
    evidenceOf: (error: unknown) => Evidence,
    subject: unknown = Symbol('call'),
  ): Promise<T> {
    this.check()
    // One call at a time tests whether the service has recovered; the others still fail at once.
    if (this.#openUntil !== undefined) this.#openUntil = this.#now() + this.#restMs
    try {
      const result = await call()
      this.close()
      return result
    } catch (error) {
      const evidence = evidenceOf(error)
      if (evidence === 'fault') this.#fail(error, subject)
      else if (evidence === 'answer') this.close()
      // After a trial that proved nothing, the next call is the trial.
      else if (this.#openUntil !== undefined) this.#openUntil = this.#now()
      throw error
    }
  }

  /** Closes the breaker: another check found the service healthy. */
  close(): void {
    this.#failed.clear()
    this.#openUntil = undefined
  }

  #fail(error: unknown, subject: unknown): void {
    if (this.#failed.size < this.#threshold) this.#failed.add(subject)
    this.#last = error
    if (this.#failed.size >= this.#threshold) this.#openUntil = this.#now() + this.#restMs
  }
}
