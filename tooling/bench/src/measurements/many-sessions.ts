/** Opens ten thousand consoles in one process, and measures the round trip of a client that types. */
import { ConsoleClient } from '../console-client.ts'
import { openContest } from '../lab.ts'
import { type Measurement, settlingMs } from '../measurement.ts'
import { digits, KIB, MIB, median, quantile } from '../numbers.ts'
import { handleLimit, memoryBytes, openHandles } from '../process-tree.ts'
import { settled } from '../settled.ts'
import { openMany } from './idle-memory.ts'

const GOAL = 10_000
/** A session has two sockets: to the client and to the console. */
const HANDLES_PER_SESSION = 2
/** The other handles of a process. */
const SPARE_HANDLES = 100
/** Few, so that a slow machine completes handshakes before their deadline. */
const AT_A_TIME = 4
const MESSAGE = Buffer.from('sixteen bytes ..')

export const manySessions: Measurement = {
  title: 'Many sessions in one process',
  method:
    'Opens consoles, keeps them open, and types into one of them. Each session needs two descriptors, so the ' +
    'limit on open files bounds the number of sessions; the limit of this machine is named below.',
  async run(scale) {
    const limit = handleLimit()
    const wanted = scale === 'full' ? GOAL : 50
    const sessions = Math.min(wanted, Math.floor((limit - SPARE_HANDLES) / HANDLES_PER_SESSION))
    await using contest = await openContest(['oriel'], 'echo', { patient: true })
    const { pid, target } = contest.entrants[0]!
    const before = await settled(() => memoryBytes(pid), settlingMs[scale])
    using typist = await ConsoleClient.open(target, 0)
    typist.send(Buffer.of(1))
    const aloneUs = await typing(typist)
    const startedMs = performance.now()
    using clients = await openMany(target, sessions - 1, AT_A_TIME)
    const tookSeconds = (performance.now() - startedMs) / 1000
    const crowdUs = await typing(typist)
    const grown = (await settled(() => memoryBytes(pid), settlingMs[scale])) - before
    clients.checkOpen()
    return {
      columns: ['figure'],
      rows: [
        ['sessions open at once', String(sessions)],
        ['descriptors of the process, of at most', `${openHandles(pid)} of ${limit}`],
        ['seconds to open them', digits(tookSeconds)],
        ['MiB grown, in all', digits(grown / MIB)],
        ['KiB for each', digits(grown / sessions / KIB)],
        ['round trip alone, p50 and p99, µs', `${digits(median(aloneUs))}, ${digits(quantile(aloneUs, 0.99))}`],
        ['round trip among all, p50 and p99, µs', `${digits(median(crowdUs))}, ${digits(quantile(crowdUs, 0.99))}`],
      ],
      verdicts: [verdict(sessions, limit)],
    }
  },
}

function verdict(sessions: number, limit: number) {
  const goal = `${GOAL.toLocaleString('en-US')} sessions open in one process`
  if (sessions >= GOAL) return { goal, found: String(sessions), met: true }
  const more = Math.floor((limit - SPARE_HANDLES) / HANDLES_PER_SESSION)
  const why = sessions < more ? 'no more were tried' : `${limit} descriptors allow no more here`
  return { goal, found: `${sessions}; ${why}` }
}

async function typing(client: ConsoleClient): Promise<number[]> {
  const tookUs: number[] = []
  for (let trip = 0; trip < 1000; trip += 1) {
    const startedMs = performance.now()
    client.send(MESSAGE)
    await client.read(MESSAGE.length)
    tookUs.push((performance.now() - startedMs) * 1000)
  }
  return tookUs
}
