/** Measures a person at a distance: how many pictures of a busy screen arrive, and how soon a key shows its effect. */
import { hasQemu } from '@oriel/testkit'
import { hasChromium, startChromium } from '@oriel/testkit/chromium'
import type { CandidateName } from '../candidates.ts'
import { seeded } from '../chaos/random.ts'
import { type FarLink, openFar } from '../distance/far.ts'
import { type Painting, startPaintingGuest } from '../distance/guest.ts'
import { type Browser, openWatched } from '../distance/page.ts'
import { type Contest, type Entrant, openContest } from '../lab.ts'
import {
  alternate,
  type Measurement,
  type Outcome,
  type Rounds,
  type Scale,
  titleOf,
  type Verdict,
} from '../measurement.ts'
import { digits, median, quantile, times } from '../numbers.ts'

const MBIT = 1_000_000

/** A guest, the links over which it is watched, and how tables name it. */
interface Scene extends Painting {
  readonly title: string
  readonly links: readonly FarLink[]
}

const scenes = {
  busy: {
    title: 'busy screen',
    noisePixels: 4000,
    links: [{ roundTripMs: 0 }, { roundTripMs: 20 }, { roundTripMs: 80 }, { roundTripMs: 200 }],
  },
  still: {
    title: 'still screen',
    moving: false,
    links: [{ roundTripMs: 0 }, { roundTripMs: 20 }, { roundTripMs: 80 }],
  },
  saturated: {
    title: 'saturated link, 10 Mbit/s',
    noisePixels: 34_000,
    links: [{ roundTripMs: 20, rate: 10 * MBIT }],
  },
} as const satisfies Record<string, Scene>

type SceneName = keyof typeof scenes

interface Size {
  readonly keys: number
  readonly rounds: number
  readonly scenes: readonly SceneName[]
  /** Which links of a scene are tried. */
  links(scene: Scene): readonly FarLink[]
}

const sizes = {
  full: { keys: 25, rounds: 4, scenes: ['busy', 'still', 'saturated'], links: ({ links }) => links },
  quick: { keys: 2, rounds: 1, scenes: ['busy'], links: ({ links }) => links.slice(1, 2) },
} as const satisfies Record<Scale, Size>

export const distance: Measurement = {
  title: 'A screen at a distance',
  method:
    "Chromium shows the proxy's own page of a QEMU guest, through a TCP relay that delays each direction by half of the " +
    'round trip and has a queue of 64 KiB where it has a rate. The guest of the busy screen changes 12 KB of incompressible ' +
    'pixels 50 times a second, of which QEMU shows at most 33; that of the saturated link changes 102 KB, for which the link ' +
    'takes 82 ms, so that it carries 12 pictures a second. A key is pressed every 50 to 300 ms, and its time is that from its ' +
    'event in the page until the page has drawn the picture that it causes.',
  async run(scale) {
    if (!hasQemu() || !hasChromium()) return notTried
    await using browser = await startChromium()
    await using contest = await openContest(['oriel', 'asking'], 'silent')
    const found: Found[] = []
    for (const name of sizes[scale].scenes) found.push(...(await watchScene(name, browser, contest, sizes[scale])))
    return { columns: COLUMNS, rows: found.flatMap(rowsOf), verdicts: verdictsOf(found) }
  },
}

/** The figures of one scene over one link. */
interface Found {
  readonly scene: SceneName
  readonly link: FarLink
  readonly rounds: Rounds<Watch>
}

interface Watch {
  readonly perSecond: number
  readonly keysMs: readonly number[]
}

async function watchScene(name: SceneName, browser: Browser, { entrants }: Contest, size: Size): Promise<Found[]> {
  const scene: Scene = scenes[name]
  await using guest = await startPaintingGuest(scene)
  const found: Found[] = []
  for (const link of size.links(scene)) {
    const watchOne = (entrant: Entrant) => watchConsole(browser, entrant, guest.vncPort!, link, size.keys)
    found.push({ scene: name, link, rounds: await alternate(entrants, size.rounds, watchOne, 0) })
  }
  return found
}

async function watchConsole(
  browser: Browser,
  entrant: Entrant,
  vncPort: number,
  link: FarLink,
  keys: number,
): Promise<Watch> {
  await using far = await openFar(entrant, vncPort, link)
  await using page = await openWatched(browser, far.url)
  const random = seeded(vncPort)
  // The first keys run code of the page that no compiler has seen, and fences have no round trip to go by.
  for (let key = 0; key < WARM_UP_KEYS; key += 1) await page.pressKey()
  const before = await page.drawn()
  const keysMs: number[] = []
  for (let key = 0; key < keys; key += 1) {
    await rest(50 + random.below(250))
    keysMs.push(await page.pressKey())
  }
  const after = await page.drawn()
  return { keysMs, perSecond: ((after.pictures - before.pictures) * 1000) / (after.atMs - before.atMs) }
}

const WARM_UP_KEYS = 3

const rest = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const COLUMNS = ['round trip, ms', 'pictures per second', 'key to picture p50, ms', 'p95, ms']

const rowsOf = ({ scene, link, rounds }: Found): string[][] =>
  [...rounds.keys()].map((name) => [
    `${scenes[scene].title}: ${titleOf(name)}`,
    String(link.roundTripMs),
    scene === 'still' ? '–' : digits(perSecondOf(rounds, name)),
    digits(keyMs(rounds, name, 0.5)),
    digits(keyMs(rounds, name, 0.95)),
  ])

const perSecondOf = (rounds: Rounds<Watch>, name: CandidateName) =>
  median(rounds.get(name)!.map(({ perSecond }) => perSecond))

const keyMs = (rounds: Rounds<Watch>, name: CandidateName, share: number) =>
  quantile(
    rounds.get(name)!.flatMap(({ keysMs }) => keysMs),
    share,
  )

function verdictsOf(found: readonly Found[]): Verdict[] {
  return found.flatMap(({ scene, link, rounds }) => {
    const place = `${scenes[scene].title}, ${link.roundTripMs} ms`
    const peer = rounds.has('baseline') ? 'baseline' : rounds.has('asking') ? 'asking' : undefined
    const own = (share: number) => keyMs(rounds, 'oriel', share)
    const toPeer = (share: number) => peer && own(share) / keyMs(rounds, peer, share)
    const perSecond = perSecondOf(rounds, 'oriel')
    if (scene === 'still')
      return [
        ratioVerdict(`${place}: key to picture p50 at most 1.1× that without continuous updates`, toPeer(0.5), 1.1),
      ]
    if (scene === 'saturated')
      return [
        rateVerdict(`${place}: at least 11 pictures per second`, perSecond, 11),
        ratioVerdict(`${place}: key to picture p95 at most 1.15× that without continuous updates`, toPeer(0.95), 1.15),
      ]
    if (link.roundTripMs === 0) return []
    return [
      rateVerdict(`${place}: at least 25 pictures per second`, perSecond, 25),
      ...(link.roundTripMs === 80
        ? [
            {
              goal: `${place}: key to picture p50 at most 115 ms`,
              found: `${digits(own(0.5))} ms`,
              met: own(0.5) <= 115,
            },
          ]
        : []),
    ]
  })
}

const rateVerdict = (goal: string, rate: number, least: number): Verdict => ({
  goal,
  found: digits(rate),
  met: rate >= least,
})

const ratioVerdict = (goal: string, ratio: number | undefined, most: number): Verdict =>
  ratio === undefined ? { goal, found: '–' } : { goal, found: times(ratio), met: ratio <= most }

const notTried: Outcome = {
  columns: COLUMNS,
  rows: [['QEMU or Chromium is not installed', '–', '–', '–', '–']],
  verdicts: [],
}
