/** Starts the surroundings of every measurement of the proxy: consoles, and an authority that knows their addresses. */
import { freePort, temporaryFolder, temporaryPki } from '@oriel/testkit'
import { type Candidate, type CandidateName, candidates, installed } from './candidates.ts'
import { startPart } from './fork.ts'
import type { Guest, Lab, Secured } from './guest.ts'

/** @param hasTls whether there are also consoles with TLS. Default: no */
export async function openLab({ hasTls = false } = {}): Promise<Lab> {
  await using opened = new AsyncDisposableStack()
  const { path: folder } = opened.use(await temporaryFolder())
  const authority = opened.use(await startPart('authority'))
  const pki = hasTls ? opened.use(await temporaryPki()).path : undefined
  const hypervisor = opened.use(await startPart('hypervisor', pki === undefined ? [] : [pki]))
  const close = opened.move()
  return {
    authority,
    hypervisor,
    folder,
    ...(pki !== undefined && { pki }),
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
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
  /** Which leg has TLS. Default: none. */
  readonly secured?: Secured
}

/** Starts the installed ones of `names`. */
export async function openContest(
  names: readonly CandidateName[],
  guest: Guest,
  { inspected = false, patient = false, secured = 'none' }: ContestOptions = {},
): Promise<Contest> {
  await using opened = new AsyncDisposableStack()
  const lab = opened.use(await openLab({ hasTls: secured !== 'none' }))
  const entrants: Entrant[] = []
  for (const name of installed(names)) {
    const inspectorPort = await freePort()
    const nodeArgs = inspected ? [`--inspect=127.0.0.1:${inspectorPort}`] : []
    const candidate = await candidates[name].start(lab, { guest, nodeArgs, patient, secured })
    entrants.push({ ...opened.use(candidate), name, inspectorPort })
  }
  const close = opened.move()
  return { lab, entrants, [Symbol.asyncDispose]: () => close.disposeAsync() }
}
