/** Measures the memory of an open, idle channel of native SPICE. */
import { setTimeout as delay } from 'node:timers/promises'
import { collectGarbage } from '../inspector.ts'
import { alternateFresh, type Measurement, type Outcome, type Rounds, type Scale, settlingMs } from '../measurement.ts'
import { digits, KIB, mean } from '../numbers.ts'
import { memoryBytes } from '../process-tree.ts'
import { settled } from '../settled.ts'
import { SpiceClient } from '../spice/client.ts'
import { openSpiceContest, type SpiceEntrant, titles } from '../spice/contest.ts'

const OTHERS = ['display', 'inputs', 'cursor'] as const
const CHANNELS_EACH = 1 + OTHERS.length
/** Longer than any deadline of a handshake: until then its timer keeps objects alive. */
const REST_MS = 12_000

export const spiceMemory: Measurement = {
  title: 'Memory of an idle channel of native SPICE',
  method:
    'Opens sessions of four channels each (main, display, inputs and cursor) over TLS and leaves them alone; the ' +
    "connection to the hypervisor has no TLS. The growth of the process tree's memory (PSS without files) is " +
    'divided by the number of channels. If a candidate runs on Node, its garbage is collected before and after; ' +
    'the last column is the figure without that. Every candidate is started anew for each of two rounds of opposite order; the ' +
    'figures are their mean.',
  async run(scale) {
    const sessions = scale === 'full' ? 125 : 3
    const start = () => openSpiceContest({ inspected: true })
    return outcome(await alternateFresh(start, (entrant: SpiceEntrant) => grow(entrant, sessions, scale), scale))
  },
}

interface Grown {
  readonly channels: number
  readonly eachKib: number
  readonly uncollectedKib: number
}

async function grow(entrant: SpiceEntrant, sessions: number, scale: Scale): Promise<Grown> {
  // Warm-up: code that the first sessions load is not part of a session's cost.
  for (let i = 0; i < 10; i += 1) await (await SpiceClient.open(await entrant.next(), OTHERS)).close()
  const before = await collected(entrant, scale)
  using clients = new DisposableStack()
  const opened: SpiceClient[] = []
  for (let i = 0; i < sessions; i += 1) opened.push(clients.use(await SpiceClient.open(await entrant.next(), OTHERS)))
  for (const client of opened) client.idle()
  if (scale === 'full') await delay(REST_MS)
  const uncollected = memoryBytes(entrant.pid)
  const after = await collected(entrant, scale)
  const channels = opened.reduce((sum, { openChannels }) => sum + openChannels, 0)
  if (channels < sessions * CHANNELS_EACH) throw new Error(`${channels} channels are still open`)
  const each = (bytes: number) => (bytes - before) / channels / KIB
  return { channels, eachKib: each(after), uncollectedKib: each(uncollected) }
}

/** Returns the memory after garbage collection. */
async function collected({ name, pid, inspectorPort }: SpiceEntrant, scale: Scale): Promise<number> {
  if (name !== 'haproxy') await collectGarbage(inspectorPort)
  return settled(() => memoryBytes(pid), settlingMs[scale])
}

function outcome(rounds: Rounds<Grown>): Outcome {
  const rows = [...rounds].map(([name, grown]) => [
    titles[name as SpiceEntrant['name']],
    String(grown[0]!.channels),
    digits(mean(grown.map(({ eachKib }) => eachKib))),
    digits(mean(grown.map(({ uncollectedKib }) => uncollectedKib))),
  ])
  return { columns: ['channels', 'KiB each', 'KiB each, with garbage'], rows, verdicts: [] }
}
