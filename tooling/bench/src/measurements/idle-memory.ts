/** Measures the memory of an open, idle console. */
import { setTimeout as delay } from 'node:timers/promises'
import type { CandidateName } from '../candidates.ts'
import { ConsoleClient, type Target } from '../console-client.ts'
import { collectedMemory, eventLoopDelayMs, runsOnNode } from '../inspector.ts'
import { type Entrant, openContest } from '../lab.ts'
import { alternateFresh, type Measurement, type Outcome, type Scale, titleOf, type Verdict } from '../measurement.ts'
import { digits, KIB, mean } from '../numbers.ts'
import { memoryBytes, processCount } from '../process-tree.ts'

const GOAL_KIB = 16
const GOAL_DELAY_MS = 2

/** The consoles that are open at once, and the candidates that hold them. websockify forks a process for each. */
const CROWDS: readonly Crowd[] = [
  { sessions: 2000, names: ['oriel', 'bare', 'websockify'] },
  { sessions: 8000, names: ['oriel', 'haproxy', 'bare'], patient: true },
]
/** The share of the consoles in a quick run. */
const QUICK_SHARE = 0.01
/** Longer than any deadline of a handshake: until then its timer keeps objects alive. */
const REST_MS = 12_000
/** websockify forks a process for each console, so fewer consoles give an exact figure. */
const FEWER = { websockify: 10 } as const

export const idleMemory: Measurement = {
  title: 'Memory of an idle session',
  method:
    "Opens consoles and leaves them alone until their handshakes are long over; the growth of the process tree's " +
    'memory (PSS without files) is divided by their number. Node collects no garbage while it is idle, so the ' +
    'bench makes it collect before and after; the figure with garbage is without that. The delay is that of the ' +
    'event loop during ten idle seconds before the collection. Every candidate is started anew for each of two ' +
    'rounds of opposite order; the figures are their mean.',
  async run(scale) {
    const share = scale === 'full' ? 1 : QUICK_SHARE
    const found: Found[] = []
    for (const crowd of scale === 'full' ? CROWDS : CROWDS.slice(0, 1))
      found.push(...(await growAll(crowd, crowd.sessions * share, scale)))
    return outcome(found, scale === 'full')
  },
}

interface Crowd {
  readonly sessions: number
  readonly names: readonly CandidateName[]
  /** Whether oriel-proxy has longer deadlines. Default: no. */
  readonly patient?: boolean
}

export interface Grown {
  readonly sessions: number
  readonly eachKib: number
  readonly uncollectedKib: number
  /** Of 99 of 100 turns of the event loop, at most. `NaN` of a candidate that does not run on Node. */
  readonly delayMs: number
  readonly processes: number
}

interface Found extends Grown {
  readonly name: CandidateName
}

/** Returns the mean of each candidate. */
async function growAll({ names, patient = false }: Crowd, sessions: number, scale: Scale): Promise<Found[]> {
  const start = () => openContest(names, 'silent', { inspected: true, patient })
  const rounds = await alternateFresh(start, (entrant: Entrant) => grow(entrant, sessions, scale), scale)
  return [...rounds].map(([name, grown]) => ({
    ...grown[0]!,
    name,
    eachKib: mean(grown.map(({ eachKib }) => eachKib)),
    uncollectedKib: mean(grown.map(({ uncollectedKib }) => uncollectedKib)),
    delayMs: mean(grown.map(({ delayMs }) => delayMs)),
  }))
}

/** Opens consoles, and returns what each has added to the memory of a new candidate. */
export async function grow(entrant: Entrant, most: number, scale: Scale): Promise<Grown> {
  const { name, pid, target } = entrant
  const sessions = name === 'websockify' ? most / FEWER.websockify : most
  // Warm-up: code that the first sessions load is not part of a session's cost.
  for (let i = 0; i < 10; i += 1) await (await ConsoleClient.open(target, i)).close()
  const before = await collectedMemory(entrant, scale)
  using clients = await openMany(target, sessions)
  if (scale === 'full') await delay(REST_MS)
  const uncollected = memoryBytes(pid)
  const delayMs = runsOnNode(entrant) ? await eventLoopDelayMs(entrant.inspectorPort, scale) : Number.NaN
  const after = await collectedMemory(entrant, scale)
  clients.checkOpen()
  const [eachKib, uncollectedKib] = [after, uncollected].map((bytes) => (bytes - before) / sessions / KIB) as [
    number,
    number,
  ]
  return { sessions, eachKib, uncollectedKib, delayMs, processes: processCount(pid) }
}

/** Opens consoles, a few at a time. */
export async function openMany(
  target: Target,
  count: number,
  atATime = 32,
): Promise<Disposable & { checkOpen(): void }> {
  const clients: ConsoleClient[] = []
  let next = 0
  const lane = async () => {
    for (let session = next++; session < count; session = next++) {
      const client = await ConsoleClient.open(target, session)
      client.send(Buffer.of(1))
      clients.push(client)
    }
  }
  await Promise.all(Array.from({ length: atATime }, lane))
  return {
    checkOpen: () => {
      const open = clients.filter((client) => client.isOpen).length
      if (open < count) throw new Error(`${open} of ${count} sessions are still open`)
    },
    [Symbol.dispose]: () => {
      for (const client of clients) client[Symbol.dispose]()
    },
  }
}

function outcome(found: readonly Found[], isFull: boolean): Outcome {
  const rows = found.map(({ name, sessions, eachKib, uncollectedKib, delayMs, processes }) => [
    titleOf(name),
    String(sessions),
    String(processes),
    digits(eachKib),
    digits(uncollectedKib),
    Number.isNaN(delayMs) ? '–' : digits(delayMs),
  ])
  return {
    columns: ['sessions', 'processes', 'KiB each', 'KiB each, with garbage', 'event-loop delay p99, ms'],
    rows,
    verdicts: found.filter(({ name }) => name === 'oriel').flatMap((one) => verdictsOf(one, isFull)),
  }
}

function verdictsOf({ sessions, eachKib, delayMs }: Found, isFull: boolean): Verdict[] {
  const verdict = (goal: string, found: string, met: boolean) => ({
    goal: `${sessions} sessions: ${goal}`,
    found,
    ...(isFull && { met }),
  })
  return [
    verdict(`at most ${GOAL_KIB} KiB each`, `${digits(eachKib)} KiB`, eachKib <= GOAL_KIB),
    verdict(`event-loop delay p99 below ${GOAL_DELAY_MS} ms`, `${digits(delayMs)} ms`, delayMs < GOAL_DELAY_MS),
  ]
}
