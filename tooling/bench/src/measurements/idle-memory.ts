/** Measures the memory of an open, idle console. */
import { setTimeout as delay } from 'node:timers/promises'
import type { CandidateName } from '../candidates.ts'
import { collectedMemory } from '../collect-garbage.ts'
import { ConsoleClient, type Target } from '../console-client.ts'
import { type Entrant, openContest } from '../lab.ts'
import { alternateFresh, type Measurement, type Outcome, type Scale, titleOf } from '../measurement.ts'
import { digits, KIB, mean } from '../numbers.ts'
import { memoryBytes, processCount } from '../process-tree.ts'

const GOAL_KIB = 16

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
    'bench makes it collect before and after; the last column is the figure without that, with the garbage from ' +
    'opening. Every candidate is started anew for each of two rounds of opposite order; the figures are their mean.',
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
  const after = await collectedMemory(entrant, scale)
  clients.checkOpen()
  const [eachKib, uncollectedKib] = [after, uncollected].map((bytes) => (bytes - before) / sessions / KIB) as [
    number,
    number,
  ]
  return { sessions, eachKib, uncollectedKib, processes: processCount(pid) }
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
  const rows = found.map(({ name, sessions, eachKib, uncollectedKib, processes }) => [
    titleOf(name),
    String(sessions),
    String(processes),
    digits(eachKib),
    digits(uncollectedKib),
  ])
  const { eachKib, sessions } = found[0]!
  const goal = `at most ${GOAL_KIB} KiB each`
  return {
    columns: ['sessions', 'processes', 'KiB each', 'KiB each, with garbage'],
    rows,
    verdicts: [
      { goal, found: `${digits(eachKib)} KiB over ${sessions} sessions`, ...(isFull && { met: eachKib <= GOAL_KIB }) },
    ],
  }
}
