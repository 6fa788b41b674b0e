/** Deadlines for whatever a test waits for: a test that hangs says what it hung on. */

/** How long a wait may take unless it says otherwise. Generous: it ends hung tests and measures nothing. */
export const defaultTimeoutMs = 20_000

export interface WaitOptions {
  /** Default: {@link defaultTimeoutMs}. */
  readonly timeoutMs?: number
}

/**
 * `promise`, or an error after `timeoutMs`.
 * @param describe says what was waited for, and what was there instead, at the moment of giving up.
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
