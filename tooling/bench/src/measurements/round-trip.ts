/** Measures how long 16 bytes take to the console and back. */
import type { CandidateName } from '../candidates.ts'
import { ConsoleClient } from '../console-client.ts'
import { clientFrame, FrameReader, opcodes } from '../frames.ts'
import { type Entrant, openContest } from '../lab.ts'
import { alternate, type Measurement, type Outcome, type Rounds, ratios, titleOf } from '../measurement.ts'
import { digits, median, quantile, times } from '../numbers.ts'

const GOAL = 1.15
const MESSAGE = Buffer.from('sixteen bytes ..')
const CONTESTANTS: readonly CandidateName[] = ['oriel', 'bare', 'websockify', 'haproxy']

export const roundTrip: Measurement = {
  title: 'Round trip of 16 bytes',
  method:
    'One session for each candidate, one message at a time; the console echoes. The client of oriel-proxy and ' +
    'websockify is a WebSocket client, that of the others plain TCP; the last row is the part of the time that ' +
    "the client's own framing takes.",
  async run(scale) {
    const [trips, rounds] = scale === 'full' ? [1000, 31] : [50, 3]
    await using contest = await openContest(CONTESTANTS, 'echo')
    await using opened = new AsyncDisposableStack()
    const clients = await Promise.all(contest.entrants.map(begin))
    for (const { client } of clients) opened.use(client)
    return outcome(await alternate(clients, rounds, ({ client }) => block(client, trips)))
  },
}

async function begin({ name, target }: Entrant) {
  const client = await ConsoleClient.open(target)
  client.send(Buffer.of(1))
  return { name, client }
}

interface Block {
  readonly p50: number
  readonly p99: number
}

/** Measures a block of round trips, in microseconds. */
async function block(client: ConsoleClient, trips: number): Promise<Block> {
  const tookUs: number[] = []
  for (let trip = 0; trip < trips; trip += 1) {
    const startedMs = performance.now()
    client.send(MESSAGE)
    await client.read(MESSAGE.length)
    tookUs.push((performance.now() - startedMs) * 1000)
  }
  return { p50: median(tookUs), p99: quantile(tookUs, 0.99) }
}

function outcome(rounds: Rounds<Block>): Outcome {
  const p50: Rounds<number> = new Map([...rounds].map(([name, blocks]) => [name, blocks.map((one) => one.p50)]))
  const peer = rounds.has('bare') ? 'bare' : 'baseline'
  const rows = [...rounds].map(([name, blocks]) => [
    titleOf(name),
    digits(median(p50.get(name)!)),
    digits(median(blocks.map((one) => one.p99))),
    times(median(ratios(p50, name, peer)!)),
  ])
  return {
    columns: ['p50, µs', 'p99, µs', `p50 to that of the ${peer === 'bare' ? 'bare relay' : peer}`],
    rows: [...rows, ['framing in the client, measured alone', digits(framingUs()), '', '']],
    verdicts: peer === 'bare' ? [verdict(median(ratios(p50, 'oriel', peer)!))] : [],
  }
}

const verdict = (ratio: number) => ({
  goal: `p50 within ${GOAL}× a bare TCP relay in Node`,
  found: times(ratio),
  met: ratio <= GOAL,
})

/** Returns the client's own time for encoding one frame and decoding one, in microseconds. */
function framingUs(): number {
  const incoming = Buffer.concat([Buffer.of(0x82, MESSAGE.length), MESSAGE])
  const reader = new FrameReader({ data: () => {}, control: () => {} })
  const count = 20_000
  const once = () => {
    const startedMs = performance.now()
    for (let i = 0; i < count; i += 1) {
      clientFrame(opcodes.binary, MESSAGE)
      reader.push(incoming)
    }
    return ((performance.now() - startedMs) * 1000) / count
  }
  return median(Array.from({ length: 9 }, once))
}
