/** Deadlines: for the one who is asked as a signal, for the one who waits as an end of the wait. */

/** Disposing of it calls it off; nothing of it is kept. */
export interface Deadline extends Disposable {
  /** Aborts with a `TimeoutError` when the time is up, and with that signal's reason when a joined one does. */
  readonly signal: AbortSignal
  /** Whether the time is up, and it was that which ended the wait. */
  readonly passed: boolean
}

/**
 * A deadline that begins now, joined with signals that end the same wait earlier.
 *
 * It is no `AbortSignal.any` of an `AbortSignal.timeout`: that one lasts until the time is up however soon the wait is
 * over, and Node 24 keeps it for ever where it is joined once more.
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

/** What `promise` becomes, unless `signal` aborts first: then its reason is thrown and the promise left to itself. */
export async function within<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const leave = onAbort(signal, () => reject(signal.reason))
  try {
    return await Promise.race([promise, aborted])
  } finally {
    leave()
  }
}

/** Whether it was the time that ended the wait. */
export const isTimeUp = ({ aborted, reason }: AbortSignal) =>
  aborted && reason instanceof DOMException && reason.name === 'TimeoutError'

/** What is thrown must be an error, and a reason may be anything: Hono's is a text. */
const asError = (reason: unknown) => (reason instanceof Error ? reason : new Error(String(reason)))

/** Calls `then` when `signal` aborts, at once if it has; gives back what calls that off. */
function onAbort(signal: AbortSignal, then: () => void): () => void {
  if (signal.aborted) then()
  else signal.addEventListener('abort', then, { once: true })
  return () => signal.removeEventListener('abort', then)
}
