/** A clock that is never set back, so that no token lives longer than its lifetime. */

/**
 * How much slower the clock runs while it is ahead of the wall clock. It loses 43 seconds a day, so that a machine whose
 * clock is set back a little every day does not drift away from the others. A token of ten minutes lives 0.3 s longer.
 */
const SLEW = 0.0005

/**
 * Returns a clock that follows `wall` forward. When `wall` is set back, the clock continues from where it was, at the pace of
 * `elapsed` (less `SLEW`). Both are in milliseconds.
 */
export function steadyClock(wall: () => number = Date.now, elapsed = () => performance.now()): () => number {
  let last = wall()
  let lastElapsed = elapsed()
  return () => {
    const now = elapsed()
    last = Math.max(wall(), last + (now - lastElapsed) * (1 - SLEW))
    lastElapsed = now
    return Math.floor(last)
  }
}
