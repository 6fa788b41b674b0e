/** The acts of a soak's clients. Each act is one console, from its opening to its end. */
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '@oriel/testkit'
import { ConsoleClient, type Target } from './console-client.ts'
import type { Guest, Lab } from './guest.ts'
import { MIB } from './numbers.ts'

/** The counts of acts, by name. */
export interface ActResults {
  readonly done: Readonly<Record<string, number>>
  /** Acts that did not end as expected. */
  readonly unexpected: readonly string[]
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
  /** The hypervisor accepts and sends nothing: the proxy answers 504 after the handshake's deadline. */
  hang: (open: Open) => refused(open('hang'), 504),
} as const

/** The order of the acts. `hang` is rare, because it takes ten seconds. */
const PROGRAMME: readonly (keyof typeof acts | 'unreachable')[] = [
  ...([
    'type',
    'watch',
    'type',
    'vanish',
    'idle',
    'type',
    'unreachable',
    'stall',
    'type',
    'watch',
    'vanish',
    'hang',
  ] as const),
]

/** Repeats the programme in each of `lanes` until `untilMs`. Each lane begins with a different act. */
export async function actUntil(untilMs: number, lanes: number, lab: Lab, target: Target): Promise<ActResults> {
  const done: Record<string, number> = {}
  const unexpected: string[] = []
  const emptyPort = await freePort()
  let session = 0
  const open = (port: number) => ConsoleClient.open({ ...target, path: (n) => `/?token=${port}.${n}` }, session++)
  const openGuest: Open = (guest) => open(lab.hypervisor.ports[`rfb-${guest}`]!)
  const lane = async (first: number) => {
    for (let n = first; performance.now() < untilMs; n += 1) {
      const name = PROGRAMME[n % PROGRAMME.length]!
      try {
        await (name === 'unreachable' ? refused(open(emptyPort), 502) : acts[name](openGuest))
        done[name] = (done[name] ?? 0) + 1
      } catch (error) {
        unexpected.push(`${name}: ${(error as Error).message}`)
      }
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, first) => lane(first)))
  return { done, unexpected }
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

/** Resolves if opening fails with this status. */
async function refused(opening: Promise<ConsoleClient>, status: number): Promise<void> {
  const client = await opening.catch((error: Error) => error)
  if (client instanceof ConsoleClient) {
    client[Symbol.dispose]()
    throw new Error('it opened')
  }
  if (!client.message.includes(` ${status} `)) throw client
}
