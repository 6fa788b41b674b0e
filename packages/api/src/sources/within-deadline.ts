/** Waits for sources, which may ignore their caller's signal. */
import { isTimeUp, within } from '@oriel/runtime'
import { SourceUnavailable } from './errors.ts'

/**
 * Waits for a source's result until `signal` aborts. A later result is dropped.
 * @throws SourceUnavailable when the deadline passes
 */
export async function withinDeadline<T>(signal: AbortSignal, result: Promise<T>): Promise<T> {
  try {
    return await within(signal, result)
  } catch (cause) {
    // A source that obeys the signal may reject first, with its own error.
    throw isTimeUp(signal) ? new SourceUnavailable('The source does not answer in time', { cause }) : cause
  }
}
