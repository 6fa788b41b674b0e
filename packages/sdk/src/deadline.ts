/**
 * Joins a deadline with the caller's signal, and distinguishes which of the two ended a wait.
 *
 * `AbortSignal.any` with `AbortSignal.timeout` would keep its timer until the time is up, even after the response, and Node 24
 * never frees such a signal once it is joined again. Not disposed of by `using`, which some browsers do not support.
 */
import { ConnectionError } from './errors.ts'

export interface Deadline {
  /** Aborts when the time is up, when the caller aborts, and when the work has failed. */
  readonly signal: AbortSignal
  readonly caller: AbortSignal | undefined
  readonly timeoutMs: number
}

/** Longer timers fire at once, on every platform. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Runs `work` under a deadline that begins now, and releases the deadline's timer and listener afterwards. */
export async function withDeadline<T>(
  timeoutMs: number,
  caller: AbortSignal | undefined,
  work: (limit: Deadline) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const { signal } = controller
  const expire = () => controller.abort(new DOMException(`not within ${timeoutMs} ms`, 'TimeoutError'))
  const timer = setTimeout(expire, Math.min(timeoutMs, MAX_TIMER_MS))
  const leave = caller && follow(caller, controller)
  try {
    return await work({ signal, caller, timeoutMs })
  } catch (error) {
    controller.abort(error) // closes an answer that is not read to its end
    throw error
  } finally {
    clearTimeout(timer)
    leave?.()
  }
}

function follow(caller: AbortSignal, controller: AbortController): () => void {
  const abort = () => controller.abort(caller.reason)
  if (caller.aborted) abort()
  else caller.addEventListener('abort', abort, { once: true })
  return () => caller.removeEventListener('abort', abort)
}

/**
 * Waits for `work`. Throws a `ConnectionError` when the deadline passes first, or the caller's abort reason.
 * @param peer the server's origin, for the message
 */
export async function within<T>(limit: Deadline, peer: string, work: Promise<T>): Promise<T> {
  const { promise: ended, reject } = Promise.withResolvers<never>()
  const end = () => reject(endOf(limit, peer))
  limit.signal.addEventListener('abort', end, { once: true })
  if (limit.signal.aborted) end()
  try {
    return await Promise.race([work, ended])
  } catch (error) {
    throw limit.signal.aborted ? endOf(limit, peer) : error // the work may have failed because of the abort
  } finally {
    limit.signal.removeEventListener('abort', end)
  }
}

function endOf({ caller, timeoutMs, signal }: Deadline, peer: string): unknown {
  if (caller?.aborted) return caller.reason
  return new ConnectionError('timeout', `${peer} did not answer within ${timeoutMs} ms`, { cause: signal.reason })
}
