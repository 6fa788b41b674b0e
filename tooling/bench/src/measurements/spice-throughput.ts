/** Measures the bytes per CPU-second from console to viewer over TLS, with every message in a new TLS record. */
import { alternate, type Measurement, type Rounds, ratios } from '../measurement.ts'
import { digits, GIB, KIB, MIB, median, times } from '../numbers.ts'
import { cpuSeconds } from '../process-tree.ts'
import { SpiceClient } from '../spice/client.ts'
import { openSpiceContest, type SpiceEntrant, titles } from '../spice/contest.ts'

/** Lengths of messages: a picture, which fills several TLS records, and a text or a line. */
const CASES = [
  { messageBytes: 64 * KIB, bytes: 512 * MIB },
  { messageBytes: KIB, bytes: 128 * MIB },
] as const

export const spiceThroughput: Measurement = {
  title: 'Bytes from console to client in native SPICE',
  method:
    'A display channel streams messages of one length as fast as the client reads, over TLS 1.3 from the ' +
    'candidate to the client and without TLS from the hypervisor. oriel-proxy begins a new TLS record for each ' +
    'message; the others cannot, because they do not parse messages. The figures are message bytes by CPU-seconds ' +
    'of the whole process tree.',
  async run(scale) {
    const [share, rounds, warmUp] = scale === 'full' ? [1, 7, 2] : [1 / 64, 1, 0]
    await using contest = await openSpiceContest()
    const rows: string[][] = []
    for (const { messageBytes, bytes } of CASES) {
      const measure = (entrant: SpiceEntrant) => stream(entrant, messageBytes, bytes * share)
      rows.push(...rowsOf(messageBytes, await alternate(contest.entrants, rounds, measure, warmUp)))
    }
    return { columns: ['GiB per CPU-second', 'range', 'oriel-proxy moves'], rows, verdicts: [] }
  },
}

/** Returns the throughput in GiB per CPU-second. */
async function stream({ pid, next }: SpiceEntrant, messageBytes: number, bytes: number): Promise<number> {
  using client = await SpiceClient.open(await next(), ['display'])
  const before = cpuSeconds(pid)
  const received = await client.stream(messageBytes, bytes)
  // At least one clock tick: a quick run may take less.
  return received / GIB / Math.max(cpuSeconds(pid) - before, 0.01)
}

function rowsOf(messageBytes: number, rounds: Rounds<number>): string[][] {
  return Object.entries(titles).flatMap(([name, title]) => {
    const values = rounds.get(name as SpiceEntrant['name'])
    if (!values) return []
    const ratio = median(ratios(rounds, 'oriel', name as SpiceEntrant['name'])!)
    const range = `${digits(Math.min(...values))} to ${digits(Math.max(...values))}`
    return [[`${title}, ${messageBytes / KIB} KiB each`, digits(median(values)), range, times(ratio)]]
  })
}
