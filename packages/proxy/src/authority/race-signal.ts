/** Waits for shared work without owning it. */

/** Settles as `work` does, or rejects when the signal aborts. `work` itself continues, since other callers may await it. */
export async function raceSignal<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  work.catch(() => {})
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([aborted, work])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
