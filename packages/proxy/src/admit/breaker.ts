/** A circuit breaker: after several failures in a row a part is left alone for a while, and callers fail at once. */

export interface BreakerOptions {
  /** Failures in a row that open the breaker. Default: 5. */
  readonly threshold?: number
  /** How long it stays open before one call may try again, milliseconds. Default: 5000. */
  readonly restMs?: number
  /** The present, milliseconds. Default: the monotonic clock. */
  readonly now?: () => number
}

/** Thrown in place of a call while the breaker is open. */
export class BreakerOpen extends Error {
  override readonly name = 'BreakerOpen'
}

export class Breaker {
  readonly #threshold: number
  readonly #restMs: number
  readonly #now: () => number
  #failures = 0
  #openUntil: number | undefined
  #last: unknown

  constructor({ threshold = 5, restMs = 5_000, now = () => performance.now() }: BreakerOptions = {}) {
    this.#threshold = threshold
    this.#restMs = restMs
    this.#now = now
  }

  /** `closed`: calls pass. `open`: none does. `trial`: the rest is over, the next call decides. */
  get state(): 'closed' | 'open' | 'trial' {
    if (this.#openUntil === undefined) return 'closed'
    return this.#now() < this.#openUntil ? 'open' : 'trial'
  }

  /** @throws BreakerOpen with the failure that opened it as its cause, unless calls may pass */
  check(): void {
    if (this.state === 'open') throw new BreakerOpen(`the last ${this.#failures} calls failed`, { cause: this.#last })
  }

  /** Runs `call`, or throws BreakerOpen. Failures that `counts` denies are answers: the part works. */
  async run<T>(call: () => Promise<T>, counts: (error: unknown) => boolean): Promise<T> {
    this.check()
    // One call at a time tries whether the part is well again; the others go on failing at once.
    if (this.#openUntil !== undefined) this.#openUntil = this.#now() + this.#restMs
    try {
      const result = await call()
      this.#close()
      return result
    } catch (error) {
      if (counts(error)) this.#fail(error)
      else this.#close()
      throw error
    }
  }

  #close(): void {
    this.#failures = 0
    this.#openUntil = undefined
  }

  #fail(error: unknown): void {
    this.#failures += 1
    this.#last = error
    if (this.#failures >= this.#threshold) this.#openUntil = this.#now() + this.#restMs
  }
}
