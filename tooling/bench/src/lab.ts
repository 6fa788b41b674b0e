/** Starts the surroundings of every measurement of the proxy: consoles, and an authority that knows their addresses. */
import { freePort, temporaryFolder } from '@oriel/testkit'
import { type Candidate, type CandidateName, candidates, installed } from './candidates.ts'
import { startPart } from './fork.ts'
import type { Guest, Lab } from './guest.ts'

export async function openLab(): Promise<Lab> {
  await using opened = new AsyncDisposableStack()
  const { path: folder } = opened.use(await temporaryFolder())
  const authority = opened.use(await startPart('authority'))
  const hypervisor = opened.use(await startPart('hypervisor'))
  const close = opened.move()
  return { authority, hypervisor, folder, [Symbol.asyncDispose]: () => close.disposeAsync() }
}

/** Candidates that run simultaneously with one lab. */
export interface Contest extends AsyncDisposable {
  readonly lab: Lab
  readonly entrants: readonly Entrant[]
}

export interface Entrant extends Candidate {
  readonly name: CandidateName
  /** The port of its inspector, if `inspected` was set. */
  readonly inspectorPort: number
}

export interface ContestOptions {
  /** Starts the inspector of candidates that run on Node, to collect their garbage on demand. */
  readonly inspected?: boolean
  /** Raises the deadlines of Oriel's proxy, for a machine that opens many consoles slowly. */
  readonly patient?: boolean
}

/** Starts the installed ones of `names`. */
export async function openContest(
  names: readonly CandidateName[],
  guest: Guest,
  { inspected = false, patient = false }: ContestOptions = {},
): Promise<Contest> {
  await using opened = new AsyncDisposableStack()
  const lab = opened.use(await openLab())
  const entrants: Entrant[] = []
  for (const name of installed(names)) {
    const inspectorPort = await freePort()
    const nodeArgs = inspected ? [`--inspect=127.0.0.1:${inspectorPort}`] : []
    entrants.push({ ...opened.use(await candidates[name].start(lab, guest, nodeArgs, patient)), name, inspectorPort })
  }
  const close = opened.move()
  return { lab, entrants, [Symbol.asyncDispose]: () => close.disposeAsync() }
}
