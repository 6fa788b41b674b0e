/** Shares requests in flight: concurrent callers with the same key get one request, and its answer for a while after. */

export interface FlightOptions<T> {
  /** How long an answer is reused, milliseconds. Rejections are never reused. Default: 0. */
  readonly keepMs?: number
  /** Whether to keep an answer. Default: every one. */
  readonly keeps?: (value: T) => boolean
  /** The present, milliseconds. Default: the monotonic clock. */
  readonly now?: (() => number) | undefined
}

/**
 * Calls `ask`, or joins the call in flight for the same key. SPICE opens about ten connections with one token at once.
 * @param anew whether to ignore a kept answer
 */
export type Share<T> = (key: string, ask: () => Promise<T>, anew?: boolean) => Promise<T>

export function shareFlights<T>(options: FlightOptions<T> = {}): Share<T> {
  const { keepMs = 0, keeps = () => true, now = () => performance.now() } = options
  const flights = new Map<string, Promise<T>>()
  /** Kept answers, the oldest first. */
  const kept = new Map<string, { readonly value: T; readonly untilMs: number }>()

  return (key, ask, anew = false) => {
    dropOld()
    const known = kept.get(key)
    if (known && !anew) return Promise.resolve(known.value)
    const flight = flights.get(key) ?? start(key, ask)
    flights.set(key, flight)
    return flight
  }

  function start(key: string, ask: () => Promise<T>): Promise<T> {
    const flight = ask().finally(() => flights.delete(key))
    if (keepMs > 0) flight.then((value) => keep(key, value)).catch(() => {})
    return flight
  }

  function keep(key: string, value: T): void {
    if (!keeps(value)) return
    kept.delete(key)
    kept.set(key, { value, untilMs: now() + keepMs })
  }

  function dropOld(): void {
    for (const [key, { untilMs }] of kept) {
      if (now() < untilMs) return
      kept.delete(key)
    }
  }
}
