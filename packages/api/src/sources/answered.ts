/** Waiting for a source, which may not look at its caller's signal. */
import { isTimeUp, within } from '@oriel/runtime'
import { SourceUnavailable } from './errors.ts'

/**
 * What a source answers, unless `signal` aborts first: the answer is then left to itself.
 * @throws SourceUnavailable when the time is up.
 */
export async function answered<T>(signal: AbortSignal, answer: Promise<T>): Promise<T> {
  try {
    return await within(signal, answer)
  } catch (cause) {
    // A source that looks at the signal may be first to fail, with an error of its own.
    throw isTimeUp(signal) ? new SourceUnavailable('The source does not answer in time', { cause }) : cause
  }
}
