/** Measures how many sessions per second are opened, used once and closed, each with a token look-up over HTTP. */
import type { CandidateName } from '../candidates.ts'
import { ConsoleClient } from '../console-client.ts'
import { type Entrant, openContest } from '../lab.ts'
import { alternate, type Measurement, type Outcome, type Rounds, ratios, titleOf } from '../measurement.ts'
import { digits, median, times } from '../numbers.ts'
import { cpuSeconds } from '../process-tree.ts'

const GOAL = 5
const LANES = 16
const MESSAGE = Buffer.from('sixteen bytes ..')
const CONTESTANTS: readonly CandidateName[] = ['oriel', 'websockify']

export const openClose: Measurement = {
  title: 'Open, relay, close',
  method:
    `${LANES} clients at a time open a console by token, have 16 bytes echoed, and close with a close frame. Each ` +
    'token is looked up over HTTP at the same server; oriel-proxy also makes the RFB handshake on both sides, which ' +
    'websockify does not.',
  async run(scale) {
    const [seconds, rounds] = scale === 'full' ? [4, 5] : [0.3, 1]
    await using contest = await openContest(CONTESTANTS, 'echo')
    return outcome(await alternate(contest.entrants, rounds, (entrant) => churn(entrant, seconds)))
  },
}

interface Rate {
  readonly perSecond: number
  readonly perCpuSecond: number
}

let sessions = 0

async function churn({ pid, target }: Entrant, seconds: number): Promise<Rate> {
  const [cpuBefore, startedMs] = [cpuSeconds(pid), performance.now()]
  let done = 0
  const lane = async () => {
    while (performance.now() - startedMs < seconds * 1000) {
      sessions += 1
      await useOnce(target, sessions)
      done += 1
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  const tookSeconds = (performance.now() - startedMs) / 1000
  return { perSecond: done / tookSeconds, perCpuSecond: done / Math.max(cpuSeconds(pid) - cpuBefore, 0.01) }
}

async function useOnce(target: Entrant['target'], session: number): Promise<void> {
  using client = await ConsoleClient.open(target, session)
  // The guest waits for a first byte before it begins to echo.
  client.send(MESSAGE.subarray(0, 1))
  client.send(MESSAGE)
  const echo = await client.read(MESSAGE.length)
  if (!echo.equals(MESSAGE)) throw new Error(`${echo.toString('hex')} came back`)
  await client.close()
}

function outcome(rounds: Rounds<Rate>): Outcome {
  const [wall, cpu] = [pick(rounds, 'perSecond'), pick(rounds, 'perCpuSecond')]
  const rows = [...rounds.keys()].map((name) => [
    titleOf(name),
    digits(median(wall.get(name)!)),
    digits(median(cpu.get(name)!)),
    times(median(ratios(cpu, 'oriel', name)!)),
  ])
  return {
    columns: ['sessions per second', 'sessions per CPU-second', 'oriel-proxy does, per CPU-second'],
    rows,
    verdicts: rounds.has('websockify') ? [verdict(wall, 'second'), verdict(cpu, 'CPU-second')] : [],
  }
}

function verdict(rounds: Rounds<number>, unit: string) {
  const ratio = median(ratios(rounds, 'oriel', 'websockify')!)
  return { goal: `at least ${GOAL}× websockify, per ${unit}`, found: times(ratio), met: ratio >= GOAL }
}

const pick = (rounds: Rounds<Rate>, key: keyof Rate): Rounds<number> =>
  new Map([...rounds].map(([name, values]) => [name, values.map((value) => value[key])]))
