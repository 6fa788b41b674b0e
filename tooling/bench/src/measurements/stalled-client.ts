/** Measures the memory that the proxy buffers for a client that does not read. */
import { setTimeout as delay } from 'node:timers/promises'
import type { CandidateName } from '../candidates.ts'
import { ConsoleClient } from '../console-client.ts'
import type { Lab } from '../guest.ts'
import { collectedMemory } from '../inspector.ts'
import { type Entrant, openContest } from '../lab.ts'
import { alternateFresh, type Measurement, type Rounds, type Scale, titleOf, type Verdict } from '../measurement.ts'
import { digits, KIB, MIB, mean } from '../numbers.ts'
import { memoryBytes } from '../process-tree.ts'

const OFFERED_MIB = 512
const CLIENTS = 32
const CONTESTANTS: readonly CandidateName[] = ['oriel', 'bare', 'websockify', 'haproxy']
/** How much a client reads before it stalls, and how much a candidate may hold for it then. */
const cases = [
  { name: 'never reads', readMib: 0, goalKib: 128 },
  { name: 'reads 64 MiB', readMib: 64, goalKib: 512 },
] as const
type Case = (typeof cases)[number]

export const stalledClient: Measurement = {
  title: 'A client that stalls',
  method:
    `${CLIENTS} clients open a console that offers ${OFFERED_MIB} MiB to each. They read nothing, or 64 MiB and then nothing. Counted ` +
    'are the greatest growth of the process tree (PSS without files), its growth after a collection of garbage if it runs on Node, and ' +
    "what left the hypervisor beyond what was read, which is also in the buffers of the system's four sockets. Every candidate is " +
    'started anew for each of two rounds of opposite order; the figures are their mean.',
  async run(scale) {
    const found = []
    for (const one of cases) found.push({ one, rounds: await stallAll(one, scale) })
    return {
      columns: ['KiB in the process, per client', 'KiB after a collection', 'MiB that left the hypervisor, per client'],
      rows: found.flatMap(({ one, rounds }) =>
        [...rounds].map(([name, figures]) => [
          `${one.name}: ${titleOf(name)}`,
          digits(meanOf(figures, 'grownKib')),
          digits(meanOf(figures, 'collectedKib')),
          digits(meanOf(figures, 'sentMib')),
        ]),
      ),
      verdicts: found.map(({ one, rounds }) => verdictOf(one, meanOf(rounds.get('oriel')!, 'grownKib'))),
    }
  },
}

interface Stalled {
  readonly grownKib: number
  readonly collectedKib: number
  readonly sentMib: number
}

const meanOf = (figures: readonly Stalled[], key: keyof Stalled) => mean(figures.map((one) => one[key]))

function verdictOf({ name, goalKib }: Case, grownKib: number): Verdict {
  return {
    goal: `${name}: at most ${goalKib} KiB for each`,
    found: `${digits(grownKib)} KiB`,
    met: grownKib <= goalKib,
  }
}

function stallAll(one: Case, scale: Scale): Promise<Rounds<Stalled>> {
  const start = () => openContest(CONTESTANTS, 'offer', { inspected: true })
  return alternateFresh(start, (entrant: Entrant, { lab }) => stall(lab, entrant, one.readMib * MIB, scale), scale)
}

async function stall({ hypervisor }: Lab, entrant: Entrant, readBytes: number, scale: Scale): Promise<Stalled> {
  const { pid, target } = entrant
  await (await ConsoleClient.open(target)).close()
  const before = await collectedMemory(entrant, scale)
  const { sentBytes: sentBefore } = await hypervisor.ask<{ sentBytes: number }>()
  using clients = new DisposableStack()
  const count = scale === 'full' ? CLIENTS : 4
  for (let i = 0; i < count; i += 1) await stallAfter(readBytes, clients.use(await ConsoleClient.open(target, i)))
  const greatest = await greatestOf(() => memoryBytes(pid), scale === 'full' ? 10 : 0.5)
  const { sentBytes } = await hypervisor.ask<{ sentBytes: number }>()
  const eachKib = (bytes: number) => (bytes - before) / count / KIB
  return {
    grownKib: eachKib(greatest),
    collectedKib: eachKib(await collectedMemory(entrant, scale)),
    sentMib: ((sentBytes - sentBefore) / count - readBytes) / MIB,
  }
}

/** Makes the console offer its bytes, and resolves when the client has stopped reading. */
async function stallAfter(bytes: number, client: ConsoleClient): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let left = bytes
  client.take((payload) => {
    left -= payload.length
    if (left <= 0) stop()
  })
  function stop() {
    client.stall()
    resolve()
  }
  client.send(Buffer.of(1))
  if (bytes === 0) stop()
  await promise
}

async function greatestOf(read: () => number, seconds: number): Promise<number> {
  let greatest = read()
  for (let i = 0; i < seconds * 10; i += 1) {
    await delay(100)
    greatest = Math.max(greatest, read())
  }
  return greatest
}
