/**
 * Runs mixed load for a given time: clients that open, type, watch and leave, clients that vanish or stall, hypervisors
 * that hang or are unreachable. Then checks that memory and handles did not grow, and that every session has an end
 * reason.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '@oriel/testkit'
import { candidates } from './candidates.ts'
import { collectGarbage } from './inspector.ts'
import { openLab } from './lab.ts'
import type { Outcome, Verdict } from './measurement.ts'
import { digits, MIB, median } from './numbers.ts'
import { memoryBytes, openHandles } from './process-tree.ts'
import type { Measured } from './report.ts'
import { type ActResults, actUntil } from './soak-acts.ts'
import { type LoggedSessions, loggedSessions } from './soak-log.ts'

export interface SoakOptions {
  readonly minutes: number
  /** Called with each sample. */
  readonly say: (line: string) => void
  /** The final wait, in which handshakes, close frames and idle connections reach their deadlines. Default: 20 s. */
  readonly restMs?: number
}

const LANES = 24
const SAMPLES = 60
/** The run has four quarters. Each must contain a sample, because its median is compared. */
const QUARTERS = 4
/** The allowed ratio of memory in the last quarter to the second. A heap's size always varies a little. */
const TOLERANCE = 1.1
/** The allowed number of additional handles after the run, such as the authority's idle connections. */
const SPARE_HANDLES = 4

/** Runs the load, and returns the result of its checks. */
export async function soak({ minutes, say, restMs = 20_000 }: SoakOptions): Promise<Measured> {
  await using lab = await openLab()
  const inspectorPort = await freePort()
  await using proxy = await candidates.oriel.start(lab, {
    guest: 'echo',
    nodeArgs: [`--inspect=127.0.0.1:${inspectorPort}`],
  })
  const sample = async (): Promise<Sample> => {
    await collectGarbage(inspectorPort)
    return { memoryMib: memoryBytes(proxy.pid) / MIB, handles: openHandles(proxy.pid) }
  }
  const before = await sample()
  const untilMs = performance.now() + minutes * 60_000
  const acting = actUntil(untilMs, LANES, lab, proxy.target)
  const samples: Sample[] = []
  while (performance.now() < untilMs || samples.length < QUARTERS) {
    await delay((minutes * 60_000) / SAMPLES)
    samples.push(await sample())
    say(shown(samples.at(-1)!))
  }
  const acts = await acting
  await delay(restMs)
  const after = await sample()
  const sessions = loggedSessions(proxy.logFile!)
  return { title: 'Mixed load', method: METHOD, outcome: outcome({ minutes, before, samples, after, acts, sessions }) }
}

const METHOD =
  `${LANES} clients open consoles without a pause, and type, watch, idle, stall or vanish in them; some consoles hang in ` +
  'their handshake and some are unreachable. Memory is that of the process tree (PSS without files) after a collection of garbage.'

interface Sample {
  readonly memoryMib: number
  readonly handles: number
}

interface Results {
  readonly minutes: number
  readonly before: Sample
  readonly samples: readonly Sample[]
  readonly after: Sample
  readonly acts: ActResults
  readonly sessions: LoggedSessions
}

const shown = ({ memoryMib, handles }: Sample) => `${digits(memoryMib)} MiB, ${handles} handles`

function outcome(results: Results): Outcome {
  const { minutes, before, after, acts, sessions } = results
  const [early, late] = quarters(results.samples)
  const counts = (map: Readonly<Record<string, number>>) =>
    Object.entries(map)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')
  return {
    columns: ['figure'],
    rows: [
      ['minutes', String(minutes)],
      ['acts', counts(acts.done)],
      ['sessions opened', String(sessions.opened)],
      ['end reasons', counts(sessions.reasons)],
      ['connects refused', counts(sessions.refusals)],
      ['before the first session', shown(before)],
      ['second quarter, medians', shown(early)],
      ['last quarter, medians', shown(late)],
      ['after the last session', shown(after)],
    ],
    verdicts: verdicts(results, early, late),
  }
}

function quarters(samples: readonly Sample[]): [Sample, Sample] {
  const quarter = Math.floor(samples.length / QUARTERS)
  const middle = (part: readonly Sample[]) => ({
    memoryMib: median(part.map(({ memoryMib }) => memoryMib)),
    handles: median(part.map(({ handles }) => handles)),
  })
  return [middle(samples.slice(quarter, quarter * 2)), middle(samples.slice(-quarter))]
}

function verdicts({ before, after, acts, sessions }: Results, early: Sample, late: Sample): Verdict[] {
  const growth = late.memoryMib / early.memoryMib
  const left = after.handles - before.handles
  return [
    { goal: 'no growth of memory', found: `${digits(growth)} of the second quarter`, met: growth <= TOLERANCE },
    { goal: 'no growth of handles', found: `${left} more at the end than before`, met: left <= SPARE_HANDLES },
    {
      goal: 'no session without an end reason',
      found: String(sessions.withoutReason),
      met: sessions.withoutReason === 0,
    },
    {
      goal: 'no unexpected outcome',
      found: acts.unexpected.slice(0, 3).join('; ') || 'nothing',
      met: acts.unexpected.length === 0,
    },
  ]
}
