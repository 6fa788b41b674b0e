/** Measures how soon after its navigation a console's page shows the screen of the guest. */
import { hasQemu } from '@oriel/testkit'
import { hasChromium, startChromium } from '@oriel/testkit/chromium'
import { startPaintingGuest } from '../distance/guest.ts'
import { firstScreenMs } from '../distance/page.ts'
import { openContest } from '../lab.ts'
import { inRound, type Measurement, type Outcome, type Scale } from '../measurement.ts'
import { startNovncSite } from '../novnc-site.ts'
import { digits, median, quantile, times } from '../numbers.ts'

/** Of each page. The first round of a full run warms up what the browser shares between its tabs. */
const LOADS = { full: { discarded: 1, kept: 20 }, quick: { discarded: 0, kept: 1 } } as const satisfies Record<
  Scale,
  object
>
const MOST_TIMES = 1.2

const titles = {
  oriel: "the proxy's page",
  modules: 'noVNC alone, as it is published',
  bundle: 'noVNC alone, as one script',
} as const

type PageName = keyof typeof titles

export const firstScreen: Measurement = {
  title: 'The first screen',
  method:
    "From the navigation to a console's page until the page has drawn the screen of a QEMU guest that stands still, in " +
    "Chromium with an empty cache. The peers are pages with nothing but noVNC's class `RFB`, which open the same console " +
    'through the same proxy. The pages take turns.',
  async run(scale) {
    if (!hasQemu() || !hasChromium()) return notTried
    await using contest = await openContest(['oriel'], 'silent')
    await using guest = await startPaintingGuest({ moving: false })
    await using site = await startNovncSite()
    await using browser = await startChromium()
    const addressOf = addresses(contest.entrants[0]!.target.port, guest.vncPort!, site.page)
    return outcome(await loadInTurn(LOADS[scale], (name) => firstScreenMs(browser, addressOf(name))))
  },
}

/** Returns the milliseconds of each load of a page, in the order of the rounds. */
async function loadInTurn(
  { discarded, kept }: (typeof LOADS)[Scale],
  load: (name: PageName) => Promise<number>,
): Promise<ReadonlyMap<PageName, readonly number[]>> {
  const loads = new Map<PageName, number[]>(pageNames.map((name) => [name, []]))
  for (let round = -discarded; round < kept; round += 1) {
    for (const name of inRound(pageNames, round)) {
      const tookMs = await load(name)
      if (round >= 0) loads.get(name)!.push(tookMs)
    }
  }
  return loads
}

const pageNames = Object.keys(titles) as PageName[]

/** Each load has a token of its own, and thus a server of its own, because limits apply to each. */
function addresses(port: number, vncPort: number, sitePage: (form: 'bundle' | 'modules', webSocket: string) => string) {
  let loads = 0
  return (name: PageName): string => {
    loads += 1
    const token = `?token=${vncPort}.${loads}`
    return name === 'oriel'
      ? `http://127.0.0.1:${port}/vnc_lite.html?path=${encodeURIComponent(token)}`
      : sitePage(name, `ws://127.0.0.1:${port}/${token}`)
  }
}

const COLUMNS = ['first screen p50, ms', 'p95, ms', 'of noVNC as it is published']

function outcome(loads: ReadonlyMap<PageName, readonly number[]>): Outcome {
  const ratioOf = (name: PageName) => median(loads.get(name)!.map((ms, round) => ms / loads.get('modules')![round]!))
  const own = ratioOf('oriel')
  return {
    columns: COLUMNS,
    rows: [...loads].map(([name, all]) => [
      titles[name],
      ...[digits(median(all)), digits(quantile(all, 0.95)), times(ratioOf(name))],
    ]),
    verdicts: [{ goal: `at most ${MOST_TIMES}× noVNC as it is published`, found: times(own), met: own <= MOST_TIMES }],
  }
}

const notTried: Outcome = {
  columns: COLUMNS,
  rows: [['QEMU or Chromium is not installed', '–', '–', '–']],
  verdicts: [],
}
