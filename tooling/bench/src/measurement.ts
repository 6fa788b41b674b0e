/** What a measurement is: a file beside this one in `measurements/`, entered in `registry.ts`. */
import { type CandidateName, candidates } from './candidates.ts'

/** How much is done: all, or just enough to see that it works. */
export type Scale = 'full' | 'quick'

/** How long memory must stand still before it counts: a quick run has no figures to get right. */
export const settlingMs = { full: 500, quick: 20 } as const satisfies Record<Scale, number>

/** A goal and what was found. `met` is left out where the goal could not be tried. */
export interface Verdict {
  readonly goal: string
  readonly found: string
  readonly met?: boolean
}

export interface Outcome {
  /** The columns after the first one, which names the candidate or the case. */
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly verdicts: readonly Verdict[]
}

export interface Measurement {
  readonly title: string
  /** What is done, in one or two sentences. */
  readonly method: string
  run(scale: Scale): Promise<Outcome>
}

/** Values by candidate, in the order in which the rounds were measured. */
export type Rounds<T> = ReadonlyMap<CandidateName, readonly T[]>

/**
 * Measures the candidates in turn, round by round, so that what else happens on the machine meets them all alike. The
 * first rounds, in which compilers and caches warm up, are thrown away: a proxy runs for weeks.
 */
export async function alternate<E extends { readonly name: CandidateName }, T>(
  entrants: readonly E[],
  rounds: number,
  measure: (entrant: E) => Promise<T>,
  warmUpRounds = 1,
): Promise<Rounds<T>> {
  const values = new Map<CandidateName, T[]>(entrants.map(({ name }) => [name, []]))
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    for (const entrant of entrants) {
      const value = await measure(entrant)
      if (round >= 0) values.get(entrant.name)!.push(value)
    }
  }
  return values
}

/** What compares `name` to `peer`: one quotient for each round, or nothing where the peer is absent. */
export function ratios(rounds: Rounds<number>, name: CandidateName, peer: CandidateName): number[] | undefined {
  const [own, others] = [rounds.get(name), rounds.get(peer)]
  return own && others && own.map((value, round) => value / others[round]!)
}

export const titleOf = (name: CandidateName): string => candidates[name].title
