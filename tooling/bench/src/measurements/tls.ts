/** Measures sessions of which one leg has TLS: that of the client (wss), or that of the console (VeNCrypt). */
import type { CandidateName } from '../candidates.ts'
import type { Secured } from '../guest.ts'
import { type Entrant, openContest } from '../lab.ts'
import { alternate, alternateFresh, type Measurement, type Rounds, ratios, titleOf } from '../measurement.ts'
import { digits, GIB, MIB, mean, median, times } from '../numbers.ts'
import { type Grown, grow } from './idle-memory.ts'
import { stream } from './throughput.ts'

interface Leg {
  readonly title: string
  readonly secured: Secured
  readonly names: readonly CandidateName[]
}

const LEGS: readonly Leg[] = [
  { title: 'wss', secured: 'client', names: ['oriel', 'haproxy', 'bare'] },
  { title: 'VeNCrypt', secured: 'console', names: ['oriel', 'haproxy', 'bare'] },
]
const SESSIONS = { full: 1000, quick: 10 } as const

const METHOD =
  'With wss the leg of the client has TLS, with VeNCrypt that of the console; the other leg has none. HAProxy and the bare relay ' +
  'only end or begin TLS: their console speaks TLS without VeNCrypt.'

export const tlsThroughput: Measurement = {
  title: 'Bytes from console to client with TLS',
  method: `One session streams as fast as the client reads. ${METHOD} The figures are as without TLS.`,
  async run(scale) {
    const [bytes, rounds, warmUp] = scale === 'full' ? [GIB, 8, 2] : [16 * MIB, 1, 0]
    const rows: string[][] = []
    for (const { title, secured, names } of LEGS) {
      await using contest = await openContest(names, 'stream', { secured })
      const found = await alternate(contest.entrants, rounds, (entrant) => stream(entrant, bytes), warmUp)
      rows.push(...[...found].map(([name, values]) => [`${title}: ${titleOf(name)}`, ...cells(values, found, name)]))
    }
    return { columns: ['GiB per CPU-second', 'range', 'oriel-proxy moves'], rows, verdicts: [] }
  },
}

const cells = (values: readonly number[], rounds: Rounds<number>, name: CandidateName) => [
  digits(median(values)),
  `${digits(Math.min(...values))} to ${digits(Math.max(...values))}`,
  times(median(ratios(rounds, 'oriel', name)!)),
]

export const tlsMemory: Measurement = {
  title: 'Memory of an idle session with TLS',
  method: `${METHOD} The figures are as without TLS, the mean of two runs of opposite order.`,
  async run(scale) {
    const rows: string[][] = []
    for (const { title, secured, names } of scale === 'full' ? LEGS : LEGS.slice(0, 1)) {
      const start = () => openContest(names, 'silent', { inspected: true, patient: true, secured })
      const found = await alternateFresh(start, (entrant: Entrant) => grow(entrant, SESSIONS[scale], scale), scale)
      rows.push(...[...found].map(([name, grown]) => [`${title}: ${titleOf(name)}`, ...figures(grown)]))
    }
    return { columns: ['sessions', 'KiB each', 'KiB each, with garbage'], rows, verdicts: [] }
  },
}

const figures = (grown: readonly Grown[]) => [
  String(grown[0]!.sessions),
  digits(mean(grown.map(({ eachKib }) => eachKib))),
  digits(mean(grown.map(({ uncollectedKib }) => uncollectedKib))),
]
