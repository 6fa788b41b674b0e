/** Performs checks one after another. A check whose input another check did not deliver is skipped. */
import { failureOf } from '../failure.ts'
import { withoutEcho } from './mask.ts'
import { NotApplicable, Problem, type Remedy, type Side } from './problem.ts'

/** The result of a check, as it is printed. */
export interface Result {
  /** The name of the check, such as `novnc websocket`. */
  readonly name: string
  /** `warning`: it works, but not well, or not for long. */
  readonly status: 'ok' | 'warning' | 'failed' | 'skipped'
  /** A fragment or sentence: what was found, or why the check failed or was skipped. */
  readonly detail: string
  readonly side?: Side
  readonly remedy?: string
  /** The failed check on which a skipped one depends. */
  readonly because?: string
}

/** A check that passed: the value for later checks, and the text for the person. */
export interface Passed<T> {
  readonly value: T
  readonly detail: string
  /** Makes it a warning. */
  readonly advice?: Remedy | undefined
}

/** The outcome of a check, for the checks that depend on it. A check without something to examine passes with `undefined`. */
export interface Outcome<T> {
  /** Present unless `blockedBy` is. */
  readonly value: T | undefined
  /** The failed check because of which dependent checks are skipped. */
  readonly blockedBy: string | undefined
}

/** The values of the outcomes on which a check depends. */
type Values<N extends readonly Outcome<unknown>[]> = {
  [K in keyof N]: N[K] extends Outcome<infer T> ? T : never
}

export interface ExaminationOptions {
  /** Ends the examination with its reason. */
  readonly signal: AbortSignal
  /** Called with the result of each check as soon as it is known. */
  readonly onResult: (result: Result) => void
}

export class Examination {
  readonly signal: AbortSignal
  readonly results: Result[] = []
  readonly #onResult: (result: Result) => void
  readonly #tokens = new Set<string>()

  constructor({ signal, onResult }: ExaminationOptions) {
    this.signal = signal
    this.#onResult = onResult
  }

  /** Prints `***` for a token from now on, since a server may repeat it. */
  hide(token: string): void {
    this.#tokens.add(token)
  }

  /**
   * Runs a check, unless one of `needs` failed. An error of the check is its result.
   * @param run throws Problem for a fault that it can name
   * @throws the reason of the signal, once it is aborted
   */
  async check<T, const N extends readonly Outcome<unknown>[]>(
    name: string,
    needs: N,
    run: (...values: Values<N>) => Promise<Passed<T>>,
  ): Promise<Outcome<T>> {
    return this.#perform(name, needs, run, (error) => this.#fail(name, error))
  }

  /** Runs a check like {@link check}. Its `run` throws NotApplicable if there is nothing to examine. */
  async checkIfApplicable<T, const N extends readonly Outcome<unknown>[]>(
    name: string,
    needs: N,
    run: (...values: Values<N>) => Promise<Passed<T>>,
  ): Promise<Outcome<T | undefined>> {
    return this.#perform<T | undefined, N>(name, needs, run, (error) =>
      error instanceof NotApplicable ? this.#skip(name, error.message) : this.#fail(name, error),
    )
  }

  async #perform<T, const N extends readonly Outcome<unknown>[]>(
    name: string,
    needs: N,
    run: (...values: Values<N>) => Promise<Passed<T>>,
    onError: (error: unknown) => Outcome<T>,
  ): Promise<Outcome<T>> {
    this.signal.throwIfAborted()
    const because = needs.find(({ blockedBy }) => blockedBy !== undefined)?.blockedBy
    if (because !== undefined) return this.#skip(name, `because ${because} failed`, because)
    try {
      return this.#pass(name, await run(...(needs.map(({ value }) => value) as Values<N>)))
    } catch (error) {
      this.signal.throwIfAborted()
      return onError(error)
    }
  }

  #pass<T>(name: string, { value, detail, advice }: Passed<T>): Outcome<T> {
    this.#report({ name, status: advice === undefined ? 'ok' : 'warning', detail, ...advice })
    return { value, blockedBy: undefined }
  }

  #skip<T>(name: string, detail: string, because?: string): Outcome<T> {
    this.#report({ name, status: 'skipped', detail, ...(because !== undefined && { because }) })
    return { value: undefined, blockedBy: because }
  }

  #fail<T>(name: string, error: unknown): Outcome<T> {
    this.#report({ name, status: 'failed', ...faultOf(error) })
    return { value: undefined, blockedBy: name }
  }

  #report({ detail, remedy, ...rest }: Result): void {
    const safe = (text: string) => [...this.#tokens].reduce(withoutEcho, text)
    const result = { ...rest, detail: safe(detail), ...(remedy !== undefined && { remedy: safe(remedy) }) }
    this.results.push(result)
    this.#onResult(result)
  }
}

/** Whether a check had something to examine. */
export const isApplicable = <T>(outcome: Outcome<T | undefined>): outcome is Outcome<T> =>
  outcome.value !== undefined || outcome.blockedBy !== undefined

function faultOf(error: unknown): Pick<Result, 'detail' | 'side' | 'remedy'> {
  if (error instanceof Problem) return { detail: error.message, side: error.side, remedy: error.remedy }
  return { detail: failureOf(error).message }
}
