/** What goes wrong in a chaos run: each fault is brought about, lasts a while, and is taken back. */

import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { ConsoleClient } from '../console-client.ts'
import type { Cloud } from './cloud.ts'
import type { Random } from './random.ts'
import { Watcher } from './watcher.ts'

/** What a fault may do to consoles that are open. */
export interface Harm {
  /** These consoles may stall; absent: none. */
  readonly stalls?: (console: number) => boolean
  /** These consoles may end; absent: none. */
  readonly ends?: (console: number) => boolean
}

/** A fault under way. */
export interface Running {
  readonly harm: Harm
  /** Takes the fault back. */
  undo(): Promise<void> | void
}

export interface Fault {
  readonly title: string
  /** Why it cannot be brought about here, if so. */
  readonly lacks?: (cloud: Cloud) => string | undefined
  begin(cloud: Cloud, random: Random): Promise<Running>
}

const HARMLESS: Harm = {}
/** Client addresses of those who are no watchers; see the loopback addresses of `ConsoleClient`. */
const GUESSER = 90
const IDLER = 70
/** Deadline for guesses: a stalled proxy answers none. */
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
    title: 'log reader stands still',
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
  frozen('authority: stands still', ({ api }) => api),
  killed('authority: killed', ({ api }) => api),
  frozen('Keystone: stands still', ({ keystone }) => keystone),
  killed('Keystone: killed', ({ keystone }) => keystone),
  {
    title: 'hypervisor: stands still',
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

/** Upgrades with tokens that were never issued, twenty at a time, at every proxy; none is waited for longer than the rest. */
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

/** A console besides those that are watched; nothing where it does not open. */
async function extra(cloud: Cloud, n: number): Promise<Watcher | undefined> {
  const { target, mint } = cloud.relays[n % cloud.relays.length]!
  const open = async () => Watcher.open(target(await mint(n)), IDLER + (n % 10))
  return open().catch(() => undefined)
}

/** Asks each API for a console, so that it meets the fault; that it refuses is right. */
const refusedMints = ({ relays }: Cloud) => Promise.all(relays.map(({ mint }) => mint(0).catch(() => {})))
