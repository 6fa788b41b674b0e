/** A clock that no correction sets back, so that no token lives longer than it was given. */

/**
 * How much slower the time passes while it is ahead of the wall clock. It gives 43 seconds a day back, so that a machine whose
 * clock is set back a little every day does not get away from the others; a token of ten minutes lives 0.3 s longer.
 */
const SLEW = 0.0005

/**
 * The time of `wall`, but never slower than time passes by `elapsed` (both in milliseconds): when the wall clock is set
 * back, it goes on from where it was, at the pace of real time (less `SLEW`). A wall clock that goes forward is followed.
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
