/** Injects faults in random order while consoles tick, and reports which consoles stalled, lost data or ended. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Outcome, Verdict } from '../measurement.ts'
import { digits } from '../numbers.ts'
import type { Measured } from '../report.ts'
import { type Cloud, startCloud } from './cloud.ts'
import { type Fault, faults, type Running } from './faults.ts'
import { type Random, seeded } from './random.ts'
import { Watcher } from './watcher.ts'

export interface ChaosOptions {
  readonly minutes: number
  /** Determines the order of the faults and their targets. */
  readonly seed: number
  /** Called after each fault. */
  readonly say: (line: string) => void
  /** The number of ticking consoles, a multiple of five. Default: 50. */
  readonly consoles?: number
  /** The shortest and longest duration of a fault in milliseconds. Default: 2,000 and 20,000. */
  readonly lastsMs?: readonly [number, number]
}

/** How much longer than the control an unaffected console may stall: the machine itself may pause. */
const GAP_GOAL_MS = 500
/** The time after a fault within which a console must open through each proxy. */
const RECOVERY_GOAL_MS = 30_000
const PROBE = 60
const CONTROL = -1

/** The observations of one fault. */
interface Seen {
  readonly title: string
  /** The longest gaps of the unaffected consoles and of the console without a proxy, in milliseconds. */
  readonly gapMs: number
  readonly controlGapMs: number
  readonly endedAsMust: number
  readonly endedWrongly: number
  readonly damaged: readonly string[]
  /** The time until a console opened through each proxy, in milliseconds. */
  readonly recoveredMs: number
}

/** Runs every fault at least once. */
export async function chaos({
  minutes,
  seed,
  say,
  consoles = 50,
  lastsMs = [2_000, 20_000],
}: ChaosOptions): Promise<Measured> {
  await using cloud = await startCloud(consoles)
  using watchers = new Watchers(cloud)
  await watchers.reopen(consoles)
  const random = seeded(seed)
  const possible = faults.filter(({ lacks }) => lacks?.(cloud) === undefined)
  const seen: Seen[] = []
  const untilMs = performance.now() + minutes * 60_000
  do {
    for (const fault of random.shuffled(possible)) {
      seen.push(await suffer(fault, { cloud, watchers, random, lastsMs }))
      say(shown(seen.at(-1)!))
      await watchers.reopen(consoles)
      if (performance.now() >= untilMs && seen.length >= possible.length) break
    }
  } while (performance.now() < untilMs)
  const absent = faults.flatMap(({ title, lacks }) =>
    lacks?.(cloud) === undefined ? [] : [`${title}: ${lacks(cloud)}`],
  )
  return { title: 'Chaos', method: METHOD, outcome: outcome({ minutes, seed, consoles, seen, absent }) }
}

const METHOD =
  'Consoles tick every 50 ms through oriel-proxy with either authority kind in front of oriel-api, and through oriel, all on ' +
  'SQLite, with a stub of Keystone and five hypervisors, while faults occur in random order. A gap is the longest time without ' +
  'a tick at consoles that the fault does not affect; the control is a console without a proxy. “Opens again” is the time ' +
  'from the end of the fault until a new console opens through each proxy.'

class Watchers implements Disposable {
  readonly #cloud: Cloud
  readonly #open = new Map<number, Watcher>()

  constructor(cloud: Cloud) {
    this.#cloud = cloud
  }

  /** Opens the closed ones of the first `count` consoles, ignoring failures, and the control. */
  async reopen(count: number): Promise<void> {
    if (!this.#open.has(CONTROL)) this.#open.set(CONTROL, await Watcher.open(this.#cloud.control, 0))
    const missing = Array.from({ length: count }, (_, n) => n).filter((n) => !this.#open.has(n))
    for (const n of missing) {
      const watcher = await openConsole(this.#cloud, n, n).catch(() => undefined)
      if (watcher) this.#open.set(n, watcher)
    }
    this.takeGaps()
  }

  /** Returns the longest gap of each console since the last call. */
  takeGaps(): Map<number, number> {
    return new Map([...this.#open].map(([n, watcher]) => [n, watcher.takeWorstGapMs()]))
  }

  /** Removes and returns the consoles that have ended or lost data. */
  takeLost(): { readonly ended: readonly number[]; readonly damaged: readonly string[] } {
    const all = [...this.#open]
    const damaged = all.flatMap(([n, { damage }]) => (damage ? [`console ${n}: ${damage.message}`] : []))
    const ended = all.flatMap(([n, { isOpen }]) => (isOpen ? [] : [n]))
    for (const [n, watcher] of all) {
      if (watcher.isOpen && watcher.damage === undefined) continue
      watcher[Symbol.dispose]()
      this.#open.delete(n)
    }
    return { ended, damaged }
  }

  [Symbol.dispose](): void {
    for (const watcher of this.#open.values()) watcher[Symbol.dispose]()
  }
}

async function openConsole(cloud: Cloud, n: number, session: number): Promise<Watcher> {
  const { target, mint } = cloud.relays[n % cloud.relays.length]!
  return Watcher.open(target(await mint(n)), session)
}

interface Stage {
  readonly cloud: Cloud
  readonly watchers: Watchers
  readonly random: Random
  readonly lastsMs: readonly [number, number]
}

async function suffer(fault: Fault, { cloud, watchers, random, lastsMs: [shortest, longest] }: Stage): Promise<Seen> {
  watchers.takeGaps()
  const running = await fault.begin(cloud, random)
  await delay(shortest + random.below(longest - shortest + 1))
  await running.undo()
  const recoveredMs = await recovery(cloud)
  const gaps = watchers.takeGaps()
  return { title: fault.title, recoveredMs, ...gapsOf(gaps, running), ...lossesOf(watchers.takeLost(), running) }
}

function gapsOf(gaps: ReadonlyMap<number, number>, { harm }: Running) {
  const unharmed = [...gaps].filter(([n]) => n !== CONTROL && !harm.stalls?.(n)).map(([, gap]) => gap)
  return { gapMs: Math.max(0, ...unharmed), controlGapMs: gaps.get(CONTROL) ?? 0 }
}

function lossesOf({ ended, damaged }: ReturnType<Watchers['takeLost']>, { harm }: Running) {
  const foreseen = ended.filter((n) => harm.ends?.(n)).length
  return { endedAsMust: foreseen, endedWrongly: ended.length - foreseen, damaged }
}

/** Tries to open a console through each proxy until that succeeds, and returns the time it took. */
async function recovery(cloud: Cloud): Promise<number> {
  const startMs = performance.now()
  for (const [n] of cloud.relays.entries()) {
    while (!(await opens(cloud, n)) && performance.now() - startMs < 2 * RECOVERY_GOAL_MS) await delay(250)
  }
  return performance.now() - startMs
}

async function opens(cloud: Cloud, n: number): Promise<boolean> {
  try {
    using watcher = await openConsole(cloud, n, PROBE + n)
    await watcher.nextTick(AbortSignal.timeout(5_000))
    return true
  } catch {
    return false
  }
}

const shown = ({ title, gapMs, endedAsMust, endedWrongly, recoveredMs }: Seen) =>
  `${title}: gap ${digits(gapMs)} ms, ${endedAsMust} ended as they must, ${endedWrongly} should not have, opens again after ${digits(recoveredMs)} ms`

interface Results {
  readonly minutes: number
  readonly seed: number
  readonly consoles: number
  readonly seen: readonly Seen[]
  readonly absent: readonly string[]
}

const COLUMNS = [
  'times',
  'longest gap, ms',
  'control, ms',
  'ended as expected',
  'ended wrongly',
  'ticks lost',
  'opens again, ms',
]

function outcome({ minutes, seed, consoles, seen, absent }: Results): Outcome {
  const byTitle = Map.groupBy(seen, ({ title }) => title)
  return {
    columns: COLUMNS,
    rows: [
      ...[...byTitle].toSorted(([a], [b]) => a.localeCompare(b)).map(([title, some]) => [title, ...cells(some)]),
      [`all, ${consoles} consoles, ${digits(minutes)} minutes, seed ${seed}`, ...cells(seen)],
    ],
    verdicts: verdicts(seen, absent),
  }
}

function cells(some: readonly Seen[]): string[] {
  const worst = (key: 'gapMs' | 'controlGapMs' | 'recoveredMs') => digits(Math.max(...some.map((one) => one[key])))
  const sum = (key: 'endedAsMust' | 'endedWrongly') => String(some.reduce((total, one) => total + one[key], 0))
  const damaged = some.flatMap((one) => one.damaged).length
  return [
    ...[String(some.length), worst('gapMs'), worst('controlGapMs'), sum('endedAsMust'), sum('endedWrongly')],
    ...[String(damaged), worst('recoveredMs')],
  ]
}

function verdicts(seen: readonly Seen[], absent: readonly string[]): Verdict[] {
  const wrong = seen.filter(({ endedWrongly }) => endedWrongly > 0)
  const damaged = seen.flatMap((one) => one.damaged)
  const gapMs = Math.max(...seen.map((one) => one.gapMs - one.controlGapMs))
  const recoveredMs = Math.max(...seen.map((one) => one.recoveredMs))
  return [
    { goal: 'no unaffected console ends', found: named(wrong.map(({ title }) => title)), met: wrong.length === 0 },
    { goal: 'no tick is lost', found: named(damaged), met: damaged.length === 0 },
    {
      goal: `no gap above ${GAP_GOAL_MS} ms beyond the control's`,
      found: `${digits(gapMs)} ms`,
      met: gapMs <= GAP_GOAL_MS,
    },
    {
      goal: `consoles open again within ${RECOVERY_GOAL_MS / 1000} s of each fault`,
      found: `${digits(recoveredMs)} ms`,
      met: recoveredMs <= RECOVERY_GOAL_MS,
    },
    ...absent.map((found) => ({ goal: 'every fault can be injected', found })),
  ]
}

const named = (list: readonly string[]) => list.slice(0, 3).join('; ') || 'nothing'
