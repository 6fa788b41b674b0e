/** Repeatable randomness: the same seed gives the same order of faults. */

export interface Random {
  /** Returns an integer, at least 0 and below `bound`. */
  below(bound: number): number
  shuffled<T>(items: readonly T[]): T[]
}

/** Creates a linear congruential generator modulo 2^32 (Numerical Recipes, 3rd edition, section 7.1). */
export function seeded(seed: number): Random {
  let state = seed >>> 0
  const below = (bound: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
  return {
    below,
    shuffled: (items) => {
      const mixed = [...items]
      for (let last = mixed.length - 1; last > 0; last -= 1) {
        const other = below(last + 1)
        ;[mixed[last], mixed[other]] = [mixed[other]!, mixed[last]!]
      }
      return mixed
    },
  }
}
