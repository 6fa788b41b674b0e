/** Types text into a guest at a distance for minutes, and checks each line that is shown, and each picture. */
import { type Image, loadGlyphs, readText, type ScreenText } from '@oriel/console'
import { hasQemu, type QemuGuest, type RgbPicture } from '@oriel/testkit'
import { hasChromium, startChromium } from '@oriel/testkit/chromium'
import { type Random, seeded } from '../chaos/random.ts'
import { openFar } from '../distance/far.ts'
import { startTextGuest, textScreen } from '../distance/text-guest.ts'
import { openTyped, type TypedPage } from '../distance/typed-page.ts'
import { openContest } from '../lab.ts'
import type { Measurement, Outcome } from '../measurement.ts'
import { digits, quantile } from '../numbers.ts'

const ROUND_TRIP_MS = 80
const DEFAULT_MINUTES = 0.5
/** A longer wait is a stall. A busy machine delays each process by some tenths of a second. */
const STALL_MS = 2_000
/** How long the page may take to show the picture of a guest that stands still. */
const LAST_PICTURE_MS = 10_000
/** Characters that need no modifier on a US keyboard and that show more than the cursor hides. */
const CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789-=[];'./"

export const typing: Measurement = {
  title: 'Typing at a distance',
  method:
    `A script types lines into a text screen of a QEMU guest, through Chromium, the proxy's own page and a TCP relay that delays ` +
    `each direction by ${ROUND_TRIP_MS / 2} ms, while the guest changes its first line 18 times a second. Keys follow each other ` +
    'after 10 to 200 ms, without waiting for their pictures. After each line the guest is paused: the page must then show ' +
    "exactly the pixels of QMP's `screendump`, cursor included, and their text must be what was typed. The time of a key is that from " +
    'its event in the page until the page has drawn it. `--minutes N` types for N minutes.',
  async run(scale, { minutes = DEFAULT_MINUTES } = {}) {
    if (!hasQemu() || !hasChromium()) return notTried
    await using contest = await openContest(['oriel'], 'silent')
    await using guest = await startTextGuest()
    await using far = await openFar(contest.entrants[0]!, guest.vncPort!, { roundTripMs: ROUND_TRIP_MS })
    await using browser = await startChromium()
    await using page = await openTyped(browser, far.url)
    return outcome(await typeUntil(performance.now() + (scale === 'full' ? minutes * 60_000 : 1), page, guest))
  },
}

interface Typed {
  readonly seconds: number
  readonly lines: number
  readonly keysMs: readonly number[]
  readonly stillMs: number
  /** What differed in a line's picture or text, the first differences first. */
  readonly faults: readonly Fault[]
}

interface Fault {
  readonly kind: 'picture' | 'text'
  readonly what: string
}

async function typeUntil(untilMs: number, page: TypedPage, guest: QemuGuest): Promise<Typed> {
  const random = seeded(80)
  const reader = await screenReader()
  const [typed, keysMs, faults]: [string[], number[], Fault[]] = [[], [], []]
  const startedMs = performance.now()
  let stillMs = 0
  do {
    const line = lineOf(random)
    const shown = await typeLine(page, line, random)
    typed.push(line)
    keysMs.push(...shown.keysMs)
    stillMs = Math.max(stillMs, shown.stillMs)
    faults.push(...(await check(page, guest, typed, reader)))
  } while (performance.now() < untilMs)
  return { seconds: (performance.now() - startedMs) / 1000, lines: typed.length, keysMs, stillMs, faults }
}

/** Returns words without a blank at either end, that fit into a line of the screen. */
function lineOf(random: Random): string {
  const length = 20 + random.below(50)
  const characters = Array.from({ length }, () => CHARACTERS[random.below(CHARACTERS.length)])
  for (let at = 5; at < length - 1; at += 6) characters[at] = ' '
  return characters.join('')
}

/** The slowest and the fastest typist of a line, in milliseconds between keys. */
const PACES = [200, 100, 10]

async function typeLine(page: TypedPage, line: string, random: Random) {
  const paceMs = PACES[random.below(PACES.length)]!
  for (const key of line) {
    await page.press(key)
    await rest(random.below(paceMs))
  }
  const before = await page.untilShown()
  await page.press('Enter')
  const after = await page.untilShown()
  return {
    keysMs: [...before.keysMs, ...after.keysMs],
    stillMs: Math.max(before.stillMs, after.stillMs),
  }
}

const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Compares the page with the paused guest, and its text with the lines that the screen must show. */
async function check(
  page: TypedPage,
  guest: QemuGuest,
  typed: readonly string[],
  read: (picture: Image) => ScreenText,
): Promise<Fault[]> {
  await guest.qmp('stop')
  const { picture, differing } = await untilSame(page, guest)
  // The first line changes, and the last one is empty.
  const lines = read(picture).lines.slice(1, textScreen.rows - 1)
  const expected = typed.slice(-lines.length)
  const found = lines.slice(-expected.length)
  await guest.qmp('cont')
  await page.untilShown()
  return [
    ...(differing > 0 ? [{ kind: 'picture', what: `line ${typed.length}: ${differing} pixels` } as const] : []),
    ...expected.flatMap((line, row) =>
      line === found[row] ? [] : [{ kind: 'text', what: `"${found[row]}" instead of "${line}"` } as const],
    ),
  ]
}

/** Resolves once the page shows the guest's picture, or with how many pixels differ at the deadline. */
async function untilSame(page: TypedPage, guest: QemuGuest): Promise<{ picture: Image; differing: number }> {
  const untilMs = performance.now() + LAST_PICTURE_MS
  for (;;) {
    const own = await guest.screendump()
    const picture = await page.picture()
    const differing = differingPixels(picture, own)
    if (differing === 0 || performance.now() > untilMs) return { picture, differing }
    await rest(50)
  }
}

function differingPixels({ width, height, rgba }: Image, own: RgbPicture): number {
  const pixels = own.width * own.height
  if (width !== own.width || height !== own.height) return pixels
  let differing = 0
  for (let pixel = 0; pixel < pixels; pixel += 1) {
    const isSame = [0, 1, 2].every((channel) => rgba[pixel * 4 + channel] === own.data[pixel * 3 + channel])
    if (!isSame) differing += 1
  }
  return differing
}

async function screenReader(): Promise<(picture: Image) => ScreenText> {
  const table = await loadGlyphs()
  let previous: ScreenText | undefined
  return (picture) => {
    previous = readText(picture, table, previous ? { previous } : {})
    return previous
  }
}

function outcome({ seconds, lines, keysMs, stillMs, faults }: Typed): Outcome {
  const longestMs = Math.max(...keysMs)
  const verdict = (goal: string, kind: Fault['kind']) => {
    const some = faults.filter((fault) => fault.kind === kind).map(({ what }) => what)
    return { goal, found: [`${some.length} of ${lines} lines`, ...some.slice(0, 3)].join('; '), met: some.length === 0 }
  }
  const times = [0.5, 0.99, 1].map((share) => digits(quantile(keysMs, share))).join(', ')
  return {
    columns: COLUMNS,
    rows: [
      ['minutes', digits(seconds / 60)],
      ['round trip, ms', String(ROUND_TRIP_MS)],
      ['keys, in lines', `${keysMs.length}, ${lines}`],
      ['key to picture p50, p99 and longest, ms', times],
      ['longest time without a change of the first line, ms', digits(stillMs)],
    ],
    verdicts: [
      verdict('no picture differs from the guest', 'picture'),
      verdict('no text differs from what was typed', 'text'),
      {
        goal: `no key waits ${STALL_MS / 1000} s for its picture`,
        found: `${digits(longestMs)} ms`,
        met: longestMs < STALL_MS,
      },
      {
        goal: `the picture never stands still for ${STALL_MS / 1000} s`,
        found: `${digits(stillMs)} ms`,
        met: stillMs < STALL_MS,
      },
    ],
  }
}

const COLUMNS = ['figure']

const notTried: Outcome = {
  columns: COLUMNS,
  rows: [['QEMU or Chromium is not installed', '–']],
  verdicts: [],
}
