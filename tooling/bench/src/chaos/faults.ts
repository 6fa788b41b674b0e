/** The faults of a chaos run. Each is injected, lasts a while, and is undone. */

import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { ConsoleClient } from '../console-client.ts'
import type { Cloud } from './cloud.ts'
import type { Random } from './random.ts'
import { Watcher } from './watcher.ts'

/** The effects that a fault may have on open consoles. */
export interface Harm {
  /** Whether a console may stall. Absent if none may. */
  readonly stalls?: (console: number) => boolean
  /** Whether a console may end. Absent if none may. */
  readonly ends?: (console: number) => boolean
}

/** An injected fault. */
export interface Running {
  readonly harm: Harm
  /** Undoes the fault. */
  undo(): Promise<void> | void
}

export interface Fault {
  readonly title: string
  /** Returns why the fault cannot be injected on this machine, or `undefined` if it can. */
  readonly lacks?: (cloud: Cloud) => string | undefined
  begin(cloud: Cloud, random: Random): Promise<Running>
}

const HARMLESS: Harm = {}
/** The loopback addresses of clients other than watchers; see `ConsoleClient`. */
const GUESSER = 90
const IDLER = 70
/** Deadline for guesses, because a stalled proxy does not answer them. */
const GUESSING_MS = 5_000

export const faults: readonly Fault[] = [
  {
    title: 'log disk full',
    lacks: ({ disks }) => (disks.logs ? undefined : 'file systems of its own: run it as root'),
    begin: async (cloud) => {
      const free = await cloud.disks.logs!.fill()
      await guess(cloud, 50)
      return { harm: HARMLESS, undo: free }
    },
  },
  {
    title: 'log reader: frozen',
    begin: async (cloud) => {
      process.kill(cloud.logReader.pid, 'SIGSTOP')
      await guess(cloud, 600)
      return { harm: HARMLESS, undo: () => void process.kill(cloud.logReader.pid, 'SIGCONT') }
    },
  },
  {
    title: 'database: its disk is full',
    lacks: ({ disks }) => (disks.data ? undefined : 'file systems of its own: run it as root'),
    begin: async (cloud) => {
      const free = await cloud.disks.data!.fill()
      await refusedMints(cloud)
      return { harm: HARMLESS, undo: free }
    },
  },
  {
    title: 'database: locked by another process',
    begin: async (cloud) => {
      const others = cloud.databases.map((file) => new DatabaseSync(file))
      for (const other of others) other.exec('PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE')
      await refusedMints(cloud)
      const release = () => {
        for (const other of others) other.close()
      }
      return { harm: HARMLESS, undo: release }
    },
  },
  frozen('authority: frozen', ({ api }) => api),
  killed('authority: killed', ({ api }) => api),
  frozen('Keystone: frozen', ({ keystone }) => keystone),
  killed('Keystone: killed', ({ keystone }) => keystone),
  {
    title: 'hypervisor: frozen',
    begin: async (cloud, random) => {
      const { index, member } = pick(cloud, random)
      member.signal('SIGSTOP')
      return { harm: { stalls: on(cloud, index) }, undo: () => member.signal('SIGCONT') }
    },
  },
  {
    title: 'hypervisor: killed',
    begin: async (cloud, random) => {
      const { index, member } = pick(cloud, random)
      await member.kill()
      return { harm: { stalls: on(cloud, index), ends: on(cloud, index) }, undo: () => member.startAgain() }
    },
  },
  {
    title: 'clients: guess tokens',
    begin: async (cloud) => {
      await guess(cloud, 600)
      return { harm: HARMLESS, undo: () => {} }
    },
  },
  {
    title: 'clients: vanish',
    begin: async (cloud) => {
      for (let n = 0; n < 21; n += 1) (await extra(cloud, n))?.[Symbol.dispose]()
      return { harm: HARMLESS, undo: () => {} }
    },
  },
  {
    title: 'clients: stop reading',
    begin: async (cloud) => {
      const idlers = await Promise.all(Array.from({ length: 10 }, (_, n) => extra(cloud, n)))
      for (const idler of idlers) idler?.stall()
      const leave = () => {
        for (const idler of idlers) idler?.[Symbol.dispose]()
      }
      return { harm: HARMLESS, undo: leave }
    },
  },
]

type PartOf = (cloud: Cloud) => Cloud['keystone'] | Cloud['api']

function frozen(title: string, part: PartOf): Fault {
  return {
    title,
    begin: async (cloud) => {
      part(cloud).signal('SIGSTOP')
      return { harm: HARMLESS, undo: () => part(cloud).signal('SIGCONT') }
    },
  }
}

function killed(title: string, part: PartOf): Fault {
  return {
    title,
    begin: async (cloud) => {
      await part(cloud).kill()
      return { harm: HARMLESS, undo: () => part(cloud).startAgain() }
    },
  }
}

function pick({ hypervisors }: Cloud, random: Random) {
  const index = random.below(hypervisors.length)
  return { index, member: hypervisors[index]! }
}

const on =
  ({ consolesEach }: Cloud, hypervisor: number) =>
  (console: number) =>
    Math.floor(console / consolesEach) === hypervisor

/** Sends upgrades with unknown tokens to every proxy, twenty at a time. All share one deadline. */
async function guess(cloud: Cloud, count: number): Promise<void> {
  const untilMs = performance.now() + GUESSING_MS
  const open = async (n: number) => {
    const { target } = cloud.relays[n % cloud.relays.length]!
    const opening = ConsoleClient.open(target(crypto.randomUUID()), GUESSER).catch(() => undefined)
    opening.then((client) => client?.[Symbol.dispose]())
    await Promise.race([opening, delay(Math.max(0, untilMs - performance.now()))])
  }
  for (let done = 0; done < count && performance.now() < untilMs; done += 20) {
    await Promise.all(Array.from({ length: 20 }, (_, n) => open(done + n)))
  }
}

/** Opens a console that the run does not watch. Returns `undefined` if that fails. */
async function extra(cloud: Cloud, n: number): Promise<Watcher | undefined> {
  const { target, mint } = cloud.relays[n % cloud.relays.length]!
  const open = async () => Watcher.open(target(await mint(n)), IDLER + (n % 10))
  return open().catch(() => undefined)
}

/** Requests a console from each API, so that it encounters the fault. Ignores refusals, which are correct. */
const refusedMints = ({ relays }: Cloud) => Promise.all(relays.map(({ mint }) => mint(0).catch(() => {})))
