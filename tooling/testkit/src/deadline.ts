/** Deadlines for the waits of tests, so that a hung test reports what it waited for. */

/** The default deadline of a wait. It is generous: it only ends hung tests. */
export const defaultTimeoutMs = 20_000

export interface WaitOptions {
  /** Default: {@link defaultTimeoutMs}. */
  readonly timeoutMs?: number
}

/**
 * Settles like `promise`, or rejects after `timeoutMs`.
 * @param describe called at the deadline; returns the error's message: what was awaited, and what was there instead
 */
export async function within<T>(promise: Promise<T>, timeoutMs: number, describe: () => string): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`After ${timeoutMs} ms: ${describe()}`)), timeoutMs)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
