/** Counts the look-ups of console tokens, of Nova's route and of the extension's. */
import { isTimeUp } from '@oriel/runtime'
import { HttpFault } from '../http/faults.ts'
import type { ApiMetrics, LookupResult } from '../metrics.ts'
import { Forbidden } from '../policy/forbidden.ts'

/** Returns `lookUp`, with each of its results counted. */
export function countLookups<Call extends { readonly signal: AbortSignal }, Result>(
  metrics: Pick<ApiMetrics, 'lookup'>,
  lookUp: (call: Call) => Promise<Result>,
): (call: Call) => Promise<Result> {
  return async function countedLookup(call) {
    try {
      const result = await lookUp(call)
      metrics.lookup('found')
      return result
    } catch (error) {
      metrics.lookup(resultOf(error, call.signal))
      throw error
    }
  }
}

const BY_STATUS: Readonly<Record<number, LookupResult>> = { 404: 'unknown', 409: 'moved' }

function resultOf(error: unknown, signal: AbortSignal): LookupResult {
  if (signal.aborted && !isTimeUp(signal)) return 'left'
  if (error instanceof Forbidden) return 'refused'
  if (error instanceof HttpFault && error.status < 500) return BY_STATUS[error.status] ?? 'refused'
  return 'unavailable'
}
