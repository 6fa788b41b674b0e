/** What the clients of a soak do: each act is one console, from its opening to its end. */
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '@oriel/testkit'
import { ConsoleClient, type Target } from './console-client.ts'
import type { Guest, Lab } from './guest.ts'
import { MIB } from './numbers.ts'

/** What was done. */
export interface Acted {
  readonly done: Readonly<Record<string, number>>
  /** Acts that went another way than they should. */
  readonly surprises: readonly string[]
}

type Open = (guest: Guest) => Promise<ConsoleClient>

const MESSAGE = Buffer.from('sixteen bytes ..')
const GO = Buffer.of(1)

const acts = {
  type: async (open: Open) => {
    using client = await open('echo')
    client.send(GO)
    for (let key = 0; key < 20; key += 1) {
      client.send(MESSAGE)
      const echo = await client.read(MESSAGE.length)
      if (!echo.equals(MESSAGE)) throw new Error(`${echo.toString('hex')} came back`)
      await delay(10)
    }
    await client.close()
  },
  watch: async (open: Open) => {
    using client = await open('stream')
    await received(client, 8 * MIB)
    await client.close()
  },
  idle: async (open: Open) => {
    using client = await open('silent')
    client.send(GO)
    await delay(1000)
    await client.close()
  },
  vanish: async (open: Open) => {
    using client = await open('stream')
    await received(client, MIB)
  },
  stall: async (open: Open) => {
    using client = await open('offer')
    client.stall()
    client.send(GO)
    await delay(2000)
  },
  /** The hypervisor accepts and says nothing: 504 once the handshake's deadline has passed. */
  hang: (open: Open) => refused(open('hang'), 504),
} as const

/** Hangs take ten seconds each, so they are done by few. */
const PROGRAMME: readonly (keyof typeof acts | 'nobody')[] = [
  ...([
    'type',
    'watch',
    'type',
    'vanish',
    'idle',
    'type',
    'nobody',
    'stall',
    'type',
    'watch',
    'vanish',
    'hang',
  ] as const),
]

/** Each of `lanes` goes through the programme, from another place in it, until the time is up. */
export async function actUntil(untilMs: number, lanes: number, lab: Lab, target: Target): Promise<Acted> {
  const done: Record<string, number> = {}
  const surprises: string[] = []
  const emptyPort = await freePort()
  let session = 0
  const open = (port: number) => ConsoleClient.open({ ...target, path: (n) => `/?token=${port}.${n}` }, session++)
  const openGuest: Open = (guest) => open(lab.hypervisor.ports[`rfb-${guest}`]!)
  const lane = async (first: number) => {
    for (let n = first; performance.now() < untilMs; n += 1) {
      const name = PROGRAMME[n % PROGRAMME.length]!
      try {
        await (name === 'nobody' ? refused(open(emptyPort), 502) : acts[name](openGuest))
        done[name] = (done[name] ?? 0) + 1
      } catch (error) {
        surprises.push(`${name}: ${(error as Error).message}`)
      }
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, first) => lane(first)))
  return { done, surprises }
}

async function received(client: ConsoleClient, bytes: number): Promise<void> {
  let count = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  client.take((payload) => {
    count += payload.length
    if (count >= bytes) resolve()
  })
  client.send(GO)
  await Promise.race([promise, client.ended])
  if (count < bytes) throw new Error(`${count} of ${bytes} bytes came`)
}

/** Passes when the opening is refused with that status. */
async function refused(opening: Promise<ConsoleClient>, status: number): Promise<void> {
  const client = await opening.catch((error: Error) => error)
  if (client instanceof ConsoleClient) {
    client[Symbol.dispose]()
    throw new Error('it opened')
  }
  if (!client.message.includes(` ${status} `)) throw client
}
