/**
 * A deadline joined with the caller's own signal, and which of the two ended a wait.
 *
 * It is no `AbortSignal.any` of an `AbortSignal.timeout`: that one lasts until the time is up however soon the answer is
 * there, and Node 24 keeps it for ever where it is joined once more. Nor a `using`: not every browser knows that.
 */
import { ConnectionError } from './errors.ts'

export interface Deadline {
  /** Aborts when the time is up, when the caller gives up, and when the work has failed. */
  readonly signal: AbortSignal
  readonly caller: AbortSignal | undefined
  readonly timeoutMs: number
}

/** Longer timers fire at once, everywhere. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** What `work` gives, under a deadline that begins now. Nothing of the deadline is kept afterwards. */
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
 * What `work` gives, unless the deadline ends first: then a `ConnectionError`, or the caller's own abort reason.
 * @param peer the origin that is waited for, for the message
 */
export async function within<T>(limit: Deadline, peer: string, work: Promise<T>): Promise<T> {
  const { promise: ended, reject } = Promise.withResolvers<never>()
  const end = () => reject(endOf(limit, peer))
  limit.signal.addEventListener('abort', end, { once: true })
  if (limit.signal.aborted) end()
  try {
    return await Promise.race([work, ended])
  } catch (error) {
    throw limit.signal.aborted ? endOf(limit, peer) : error // the abort made the work fail, and may be noticed later
  } finally {
    limit.signal.removeEventListener('abort', end)
  }
}

function endOf({ caller, timeoutMs, signal }: Deadline, peer: string): unknown {
  if (caller?.aborted) return caller.reason
  return new ConnectionError('timeout', `${peer} did not answer within ${timeoutMs} ms`, { cause: signal.reason })
}
