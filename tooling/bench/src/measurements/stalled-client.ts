/** Measures the memory that the proxy buffers for a client that does not read. */
import { setTimeout as delay } from 'node:timers/promises'
import type { CandidateName } from '../candidates.ts'
import { ConsoleClient } from '../console-client.ts'
import type { Lab } from '../guest.ts'
import { type Entrant, openContest } from '../lab.ts'
import { alternateFresh, type Measurement, type Scale, settlingMs, titleOf } from '../measurement.ts'
import { digits, MIB, mean } from '../numbers.ts'
import { memoryBytes } from '../process-tree.ts'
import { settled } from '../settled.ts'

const GOAL_MIB = 16
const OFFERED_MIB = 512
const CLIENTS = 4
const CONTESTANTS: readonly CandidateName[] = ['oriel', 'bare', 'websockify', 'haproxy']

export const stalledClient: Measurement = {
  title: 'A client that stalls',
  method:
    `${CLIENTS} clients open a console, and read nothing while it offers ${OFFERED_MIB} MiB to each. Counted are the greatest ` +
    'growth of the process tree (PSS without files), and what left the hypervisor in all, which is also in the buffers of the ' +
    "system's four sockets. Every candidate is started anew for each of two rounds of opposite order; the figures are their mean.",
  async run(scale) {
    const start = () => openContest(CONTESTANTS, 'offer')
    const rounds = await alternateFresh(start, (entrant: Entrant, { lab }) => stall(lab, entrant, scale), scale)
    const meanOf = (name: CandidateName, key: keyof Stalled) => mean(rounds.get(name)!.map((one) => one[key]))
    const grownMib = meanOf('oriel', 'grownMib')
    return {
      columns: ['MiB in the process, per client', 'MiB that left the hypervisor, per client'],
      rows: [...rounds.keys()].map((name) => [
        titleOf(name),
        digits(meanOf(name, 'grownMib')),
        digits(meanOf(name, 'sentMib')),
      ]),
      verdicts: [
        { goal: `at most ${GOAL_MIB} MiB for each`, found: `${digits(grownMib)} MiB`, met: grownMib <= GOAL_MIB },
      ],
    }
  },
}

interface Stalled {
  readonly grownMib: number
  readonly sentMib: number
}

async function stall({ hypervisor }: Lab, { pid, target }: Entrant, scale: Scale): Promise<Stalled> {
  await (await ConsoleClient.open(target)).close()
  const before = await settled(() => memoryBytes(pid), settlingMs[scale])
  const { sentBytes: sentBefore } = await hypervisor.ask<{ sentBytes: number }>()
  using clients = new DisposableStack()
  for (let i = 0; i < CLIENTS; i += 1) {
    const client = clients.use(await ConsoleClient.open(target, i))
    client.stall()
    client.send(Buffer.of(1))
  }
  const greatest = await greatestOf(() => memoryBytes(pid), scale === 'full' ? 10 : 0.5)
  const { sentBytes } = await hypervisor.ask<{ sentBytes: number }>()
  return { grownMib: (greatest - before) / CLIENTS / MIB, sentMib: (sentBytes - sentBefore) / CLIENTS / MIB }
}

async function greatestOf(read: () => number, seconds: number): Promise<number> {
  let greatest = read()
  for (let i = 0; i < seconds * 10; i += 1) {
    await delay(100)
    greatest = Math.max(greatest, read())
  }
  return greatest
}
