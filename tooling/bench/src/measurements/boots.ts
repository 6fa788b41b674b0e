/** Boots real guests to the menu of their firmware, and measures how soon `waitForText` sees a text on the screen. */
import { openScreen, type Screen } from '@oriel/console'
import { hasQemu, startQemu } from '@oriel/testkit'
import { SerialClock } from '../boots/serial-clock.ts'
import { type Candidate, candidates } from '../candidates.ts'
import { openLab } from '../lab.ts'
import type { Measurement, Outcome } from '../measurement.ts'
import { digits, quantile } from '../numbers.ts'

const GOAL_MS = 100
const DEFAULT_BOOTS = 25
const WAIT = { timeoutMs: 60_000 }
/** The name that the bench's authority gives each server. */
const NAME = 'instance-00000001'

export const boots: Measurement = {
  title: 'Boots to a menu',
  method:
    'Each boot starts a new QEMU and opens its screen through oriel-proxy with `@oriel/console`. `waitForText` waits for the ' +
    "firmware's prompt, Escape answers it, and `waitForText` waits for the boot menu. The firmware prints the same on the serial " +
    'port, which another thread reads: a time is that from the arrival of the text there until `waitForText` returns. So it ' +
    'includes how long QEMU takes to look at its screen, which by itself it does every 30 ms to 3 s. A first boot, in which the tables of ' +
    'glyphs are loaded, is not counted. The control is by how much a timer of 10 ms was late in that other thread: on a busy ' +
    'machine each of QEMU, proxy and client is late like that. `--boots N` boots N times.',
  async run(scale, { boots: count = DEFAULT_BOOTS } = {}) {
    if (!hasQemu()) return notTried
    await using lab = await openLab()
    await using proxy = await candidates.oriel.start(lab, { guest: 'silent' })
    await using clock = new SerialClock()
    const warmUp = await boot(proxy, clock, 0)
    const results: Result[] = 'failure' in warmUp ? [warmUp] : []
    for (let session = 1; session <= (scale === 'full' ? count : 1); session += 1)
      results.push(await boot(proxy, clock, session))
    return outcome(results, await clock.lateness())
  },
}

/** The milliseconds of each wait, or why the boot failed. */
type Result = { readonly prompt: number; readonly menu: number } | { readonly failure: string }

async function boot({ target }: Candidate, clock: SerialClock, session: number): Promise<Result> {
  try {
    await using guest = await startQemu({ name: NAME, firmware: 'serial', serial: true, paused: true })
    await clock.connect(guest.serialPort!)
    const url = `ws://127.0.0.1:${target.port}/?token=${guest.vncPort}.${session}`
    await using screen = await openScreen({ url })
    await guest.qmp('cont')
    const prompt = await timed(screen, clock, 'Press ESC for boot menu')
    await screen.press('Escape')
    return { prompt, menu: await timed(screen, clock, 'Select boot device:') }
  } catch (error) {
    return { failure: String(error) }
  }
}

async function timed(screen: Screen, clock: SerialClock, text: string): Promise<number> {
  await screen.waitForText(text, WAIT)
  const seenAt = performance.timeOrigin + performance.now()
  // The firmware prints a character on the serial port when the next one follows.
  return seenAt - (await clock.printed(text.slice(0, -1)))
}

function outcome(results: readonly Result[], lateness: readonly number[]): Outcome {
  const shown = results.filter((result) => 'prompt' in result)
  const failures = results.flatMap((result) => ('failure' in result ? [result.failure] : []))
  const times = shown.flatMap(({ prompt, menu }) => [prompt, menu])
  const row = (name: string, values: readonly number[]) => [
    name,
    String(values.length),
    ...[0.5, 0.9, 0.99, 1].map((share) => (values.length > 0 ? digits(quantile(values, share)) : '–')),
  ]
  return {
    columns: COLUMNS,
    rows: [
      row(
        'prompt',
        shown.map(({ prompt }) => prompt),
      ),
      row(
        'menu',
        shown.map(({ menu }) => menu),
      ),
      row('both', times),
      row('control: a timer, late by', lateness),
    ],
    verdicts: [
      { goal: 'every boot reaches the menu', found: found(results.length, failures), met: failures.length === 0 },
      {
        goal: `seen within ${GOAL_MS} ms of being there (p99)`,
        ...(times.length > 0
          ? { found: `${digits(quantile(times, 0.99))} ms`, met: quantile(times, 0.99) <= GOAL_MS }
          : { found: 'nothing seen', met: false }),
      },
    ],
  }
}

const COLUMNS = ['waits', 'p50, ms', 'p90, ms', 'p99, ms', 'longest, ms']

const found = (count: number, failures: readonly string[]) =>
  [`${count - failures.length} of ${count} boots`, ...failures.slice(0, 3)].join('; ')

const notTried: Outcome = {
  columns: COLUMNS,
  rows: [['QEMU is not installed', '0', '–', '–', '–', '–']],
  verdicts: [{ goal: 'every boot reaches the menu', found: 'QEMU is not installed' }],
}
