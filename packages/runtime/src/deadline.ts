/** Deadlines, as an `AbortSignal` for the callee and a bounded wait for the caller. */

/** Disposal cancels it and releases its timer and listeners. */
export interface Deadline extends Disposable {
  /** Aborts with a `TimeoutError` when the time is up, or with the reason of a joined signal that aborts. */
  readonly signal: AbortSignal
  /** Whether the time is up, and no joined signal had aborted before. */
  readonly passed: boolean
}

/**
 * A deadline that begins now, joined with signals that end the same wait earlier.
 *
 * `AbortSignal.any` with `AbortSignal.timeout` would keep its timer until the time is up, even after the wait is over, and
 * Node 24 never frees such a signal once it is joined again.
 */
export function deadline(timeoutMs: number, ...signals: readonly AbortSignal[]): Deadline {
  const controller = new AbortController()
  let passed = false
  const expire = () => {
    passed = !controller.signal.aborted
    controller.abort(new DOMException(`timeout after ${timeoutMs} ms`, 'TimeoutError'))
  }
  const timer = setTimeout(expire, timeoutMs)
  const leaves = signals.map((signal) => onAbort(signal, () => controller.abort(asError(signal.reason))))
  return {
    signal: controller.signal,
    get passed() {
      return passed
    },
    [Symbol.dispose]: () => {
      clearTimeout(timer)
      for (const leave of leaves) leave()
    },
  }
}

/**
 * Waits for `promise`, but throws the signal's reason once `signal` aborts. The work behind `promise` continues, since others
 * may wait for it too; a later rejection is swallowed.
 */
export async function within<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const leave = onAbort(signal, () => reject(signal.reason))
  try {
    return await Promise.race([aborted, promise])
  } finally {
    leave()
  }
}

/** Whether a deadline, rather than a joined signal, ended the wait. */
export const isTimeUp = ({ aborted, reason }: AbortSignal) =>
  aborted && reason instanceof DOMException && reason.name === 'TimeoutError'

/** An abort reason may be any value (Hono's is a string), but only errors may be thrown. */
const asError = (reason: unknown) => (reason instanceof Error ? reason : new Error(String(reason)))

/** Calls `then` when `signal` aborts, at once if it already has. Returns a function that removes the listener. */
function onAbort(signal: AbortSignal, then: () => void): () => void {
  if (signal.aborted) then()
  else signal.addEventListener('abort', then, { once: true })
  return () => signal.removeEventListener('abort', then)
}
