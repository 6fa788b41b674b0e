/** Measures the bytes per CPU-second of the proxy from console to client. */
import type { CandidateName } from '../candidates.ts'
import { ConsoleClient } from '../console-client.ts'
import { type Entrant, openContest } from '../lab.ts'
import { alternate, type Measurement, type Outcome, type Rounds, ratios, titleOf } from '../measurement.ts'
import { digits, GIB, MIB, median, times } from '../numbers.ts'
import { cpuSeconds } from '../process-tree.ts'

const GOAL = 1.5
const GO = Buffer.of(1)
const CONTESTANTS: readonly CandidateName[] = ['oriel', 'websockify', 'haproxy', 'bare']

export const throughput: Measurement = {
  title: 'Bytes from console to client',
  method:
    'One session streams as fast as the client reads, in pieces of 64 KiB. The figures are payload bytes by CPU-' +
    'seconds of the whole process tree, from the request of the first byte until the last one is read.',
  async run(scale) {
    const [bytes, rounds, warmUp] = scale === 'full' ? [2 * GIB, 9, 3] : [64 * MIB, 1, 0]
    await using contest = await openContest(CONTESTANTS, 'stream')
    return outcome(await alternate(contest.entrants, rounds, (entrant) => stream(entrant, bytes), warmUp))
  },
}

/** Returns the throughput in GiB per CPU-second. */
export async function stream({ pid, target }: Entrant, bytes: number): Promise<number> {
  using client = await ConsoleClient.open(target)
  const before = cpuSeconds(pid)
  let received = 0
  const { promise: done, resolve } = Promise.withResolvers<void>()
  client.take((payload) => {
    received += payload.length
    if (received >= bytes) resolve()
  })
  client.send(GO)
  await Promise.race([done, client.ended])
  if (received < bytes) throw new Error(`${received} of ${bytes} bytes came`)
  // At least one clock tick: a quick run may take less.
  return received / GIB / Math.max(cpuSeconds(pid) - before, 0.01)
}

function outcome(rounds: Rounds<number>): Outcome {
  const rows = [...rounds].map(([name, values]) => [
    titleOf(name),
    digits(median(values)),
    `${digits(Math.min(...values))} to ${digits(Math.max(...values))}`,
    times(median(ratios(rounds, 'oriel', name)!)),
  ])
  const ratio = ratios(rounds, 'oriel', 'websockify')
  return {
    columns: ['GiB per CPU-second', 'range', 'oriel-proxy moves'],
    rows,
    verdicts: ratio
      ? [{ goal: `at least ${GOAL}× websockify`, found: times(median(ratio)), met: median(ratio) >= GOAL }]
      : [],
  }
}
