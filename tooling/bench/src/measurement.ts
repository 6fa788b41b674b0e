/** The interface of a measurement. Measurements are in `measurements/` and are listed in `registry.ts`. */
import { type CandidateName, candidates } from './candidates.ts'

/** The size of a run: `quick` only checks that the measurement works. */
export type Scale = 'full' | 'quick'

/** How long memory must be stable before it is read. Short in a quick run, whose figures are not used. */
export const settlingMs = { full: 500, quick: 20 } as const satisfies Record<Scale, number>

/** A goal and the result. `met` is absent if the goal could not be checked. */
export interface Verdict {
  readonly goal: string
  readonly found: string
  readonly met?: boolean
}

export interface Outcome {
  /** The column titles after the first column, which names the candidate or the case. */
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly verdicts: readonly Verdict[]
}

/** Sizes that the command line may set for a full run. */
export interface Settings {
  /** How many guests `boots` boots. */
  readonly boots?: number
  /** For how many minutes `typing` types. */
  readonly minutes?: number
}

export interface Measurement {
  readonly title: string
  /** The method, in one or two sentences. */
  readonly method: string
  run(scale: Scale, settings?: Settings): Promise<Outcome>
}

/** The values of each candidate, in the order of the rounds. */
export type Rounds<T> = ReadonlyMap<CandidateName, readonly T[]>

/**
 * Measures the candidates in turn, round by round, so that other load on the machine affects all of them alike. Each round has the
 * opposite order of the one before, because a turn may gain or lose by the one before it. Discards the first rounds, in which
 * compilers and caches warm up, because a proxy runs for weeks.
 */
export async function alternate<E extends { readonly name: CandidateName }, T>(
  entrants: readonly E[],
  rounds: number,
  measure: (entrant: E) => Promise<T>,
  warmUpRounds = 1,
): Promise<Rounds<T>> {
  const values = new Map<CandidateName, T[]>(entrants.map(({ name }) => [name, []]))
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    for (const entrant of inRound(entrants, round)) {
      const value = await measure(entrant)
      if (round >= 0) values.get(entrant.name)!.push(value)
    }
  }
  return values
}

/** Candidates that run at the same time. */
interface Running<E> extends AsyncDisposable {
  readonly entrants: readonly E[]
}

/**
 * Measures candidates of which the first turn would change the next: starts all of them anew for each round, of which the second
 * has the opposite order.
 */
export async function alternateFresh<E extends { readonly name: CandidateName }, C extends Running<E>, T>(
  start: () => Promise<C>,
  measure: (entrant: E, running: C) => Promise<T>,
  scale: Scale,
): Promise<Rounds<T>> {
  const values = new Map<CandidateName, T[]>()
  for (const round of scale === 'full' ? [0, 1] : [0]) {
    await using running = await start()
    for (const entrant of inRound(running.entrants, round)) {
      const earlier = values.get(entrant.name) ?? []
      values.set(entrant.name, [...earlier, await measure(entrant, running)])
    }
  }
  return values
}

/** Returns the order in a round: as given in even rounds, and reversed in odd ones. */
export const inRound = <T>(items: readonly T[], round: number): readonly T[] =>
  round % 2 === 0 ? items : items.toReversed()

/** Returns the quotient of `name` and `peer` for each round, or `undefined` if the peer is absent. */
export function ratios(rounds: Rounds<number>, name: CandidateName, peer: CandidateName): number[] | undefined {
  const [own, others] = [rounds.get(name), rounds.get(peer)]
  return own && others && own.map((value, round) => value / others[round]!)
}

export const titleOf = (name: CandidateName): string => candidates[name].title
