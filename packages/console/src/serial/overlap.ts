/**
 * Finds how the output of a new connection continues the output before it. A proxy may begin with output that it has sent
 * already, and does not say how much of it that is.
 */

export interface Overlap {
  /**
   * Each number of bytes, the largest first, that the new output begins with and the earlier output ends with. The true
   * overlap is one of them unless output is missing.
   */
  readonly fits: readonly number[]
  /** Whether all of the new output is inside the earlier output, so that its continuation may yield another fit. */
  readonly isOpen: boolean
}

/** Compares the end of `earlier` with the beginning of `later`. Takes time in proportion to their lengths (Knuth, Morris, Pratt). */
export function overlapOf(earlier: Uint8Array, later: Uint8Array): Overlap {
  const start = later.subarray(0, earlier.length)
  if (start.length === 0) return { fits: [], isOpen: earlier.length > 0 }
  const borders = bordersOf(start)
  let isOpen = false
  let matched = 0
  for (const byte of earlier) {
    if (matched === start.length) {
      isOpen = true
      matched = borders[matched]!
    }
    while (matched > 0 && start[matched] !== byte) matched = borders[matched]!
    if (start[matched] === byte) matched += 1
  }
  const fits: number[] = []
  for (let fit = matched; fit > 0; fit = borders[fit]!) fits.push(fit)
  return { fits, isOpen }
}

/** For each length of a beginning of `bytes`: the longest shorter beginning with which it ends. */
function bordersOf(bytes: Uint8Array): Uint32Array {
  const borders = new Uint32Array(bytes.length + 1)
  let border = 0
  for (let at = 1; at < bytes.length; at++) {
    while (border > 0 && bytes[border] !== bytes[at]) border = borders[border]!
    if (bytes[border] === bytes[at]) border += 1
    borders[at + 1] = border
  }
  return borders
}
