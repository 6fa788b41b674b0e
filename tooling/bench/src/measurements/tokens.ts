/** Measures how many consoles are created and tokens looked up over HTTP, with each available database. */
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, temporaryFolder } from '@oriel/testkit'
import { baseline, comparesBuilds } from '../candidates.ts'
import { type HttpLane, openLane, requestText } from '../http-lane.ts'
import { inRound, type Measurement } from '../measurement.ts'
import { digits, median, quantile } from '../numbers.ts'
import { cpuSeconds } from '../process-tree.ts'
import { builtApp, startServer } from '../server.ts'

/** Returns the store's URL for an API whose files are in `folder`, or `undefined` if the database is not available. */
type Store = (folder: string) => string | undefined

/** The stores by their name in tables. Environment variables contain the URLs of the database servers. */
const stores = {
  'SQLite, a file': (folder) => `sqlite:${join(folder, 'bench.db')}`,
  PostgreSQL: () => process.env.BENCH_POSTGRES,
  MariaDB: () => process.env.BENCH_MARIADB,
} as const satisfies Record<string, Store>

const SERVER = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const PROJECT = '6f70656e737461636b206d6174746572'
const HEADERS = { 'OpenStack-API-Version': 'compute 2.99', 'X-Auth-Token': 'bench' }
const CONCURRENCY = [1, 16]
/** The number of rounds. The stores and kinds of work alternate in each round, so that other load affects all of them alike. */
const ROUNDS = { full: 5, quick: 1 } as const

export const tokens: Measurement = {
  title: 'Tokens',
  method:
    'The built oriel-api, with persistent connections that each have one request in progress. Creating is POST ' +
    'remote-consoles by a member, looking up is GET os-console-auth-tokens of one of the tokens just created.',
  async run(scale) {
    const rows: string[][] = []
    for (const lanes of CONCURRENCY) rows.push(...(await measure(lanes, scale)))
    return {
      columns: ['at a time', 'per second', 'p50, ms', 'p99, ms', 'per CPU-second of the API'],
      rows,
      verdicts: [],
    }
  },
}

interface Load {
  readonly perSecond: number
  readonly perCpuSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

async function measure(count: number, scale: keyof typeof ROUNDS): Promise<string[][]> {
  await using opened = new AsyncDisposableStack()
  const builds: Build[] = []
  for (const [title, store] of Object.entries(stores)) {
    for (const [suffix, checkout] of Object.entries(checkouts)) {
      const folder = opened.use(await temporaryFolder())
      const url = store(folder.path)
      if (url === undefined) continue
      const port = await freePort()
      const { pid } = opened.use(await startApi(folder.path, port, url, checkout))
      builds.push({ title: `${title}${suffix}`, pid, port, rounds: [] })
    }
  }
  const seconds = scale === 'full' ? 3 : 0.2
  for (let round = 0; round <= ROUNDS[scale]; round += 1) {
    for (const build of inRound(builds, round)) {
      const loads = await runLoads(build, count, seconds)
      if (round > 0) build.rounds.push(loads)
    }
  }
  return builds.flatMap(({ title, rounds }) =>
    kinds.map((kind) => [`${title}: ${kind}`, String(count), ...summary(rounds.map((loads) => loads[kind]))]),
  )
}

/** The builds that take turns, by what follows the store in tables. Two use the same database server, but not at once. */
const checkouts: Readonly<Record<string, string | undefined>> = comparesBuilds
  ? { '': undefined, ', BENCH_BASELINE': baseline }
  : { '': undefined }

const kinds = ['created', 'looked up'] as const
type Loads = Readonly<Record<(typeof kinds)[number], Load>>

/** A running API. */
interface Build {
  readonly title: string
  readonly pid: number
  readonly port: number
  readonly rounds: Loads[]
}

/** Connects anew: the API has closed the connections of its last turn, which were idle since. */
async function runLoads({ pid, port }: Build, count: number, seconds: number): Promise<Loads> {
  using opened = new DisposableStack()
  const lanes = await Promise.all(Array.from({ length: count }, async () => opened.use(await openLane(port))))
  const minted: string[] = []
  const created = await load(pid, lanes, seconds, (lane) => create(lane, port, minted))
  const lookedUp = await load(pid, lanes, seconds, (lane, n) => lookUp(lane, port, minted[n % minted.length]!))
  return { created, 'looked up': lookedUp }
}

const summary = (loads: readonly Load[]) =>
  (['perSecond', 'p50Ms', 'p99Ms', 'perCpuSecond'] as const).map((key) => digits(median(loads.map((one) => one[key]))))

async function create(lane: HttpLane, port: number, minted: string[]): Promise<void> {
  const { status, body } = await lane.send(
    requestText({
      method: 'POST',
      path: `/v2.1/servers/${SERVER}/remote-consoles`,
      port,
      headers: HEADERS,
      body: { remote_console: { protocol: 'vnc', type: 'novnc' } },
    }),
  )
  const token = /token%3D([\w-]+)/.exec(body)?.[1]
  if (status !== 200 || token === undefined) throw new Error(`${status} ${body}`)
  minted.push(token)
}

async function lookUp(lane: HttpLane, port: number, token: string): Promise<void> {
  const path = `/v2.1/os-console-auth-tokens/${token}`
  const { status, body } = await lane.send(requestText({ method: 'GET', path, port, headers: HEADERS }))
  if (status !== 200 || !body.includes(SERVER)) throw new Error(`${status} ${body}`)
}

async function load(
  pid: number,
  lanes: readonly HttpLane[],
  seconds: number,
  request: (lane: HttpLane, n: number) => Promise<void>,
): Promise<Load> {
  const tookMs: number[] = []
  const [cpuBefore, startedMs] = [cpuSeconds(pid), performance.now()]
  const run = async (lane: HttpLane) => {
    let nowMs = performance.now()
    while (nowMs - startedMs < seconds * 1000) {
      await request(lane, tookMs.length)
      const doneMs = performance.now()
      tookMs.push(doneMs - nowMs)
      nowMs = doneMs
    }
  }
  await Promise.all(lanes.map(run))
  return {
    perSecond: tookMs.length / ((performance.now() - startedMs) / 1000),
    perCpuSecond: tookMs.length / Math.max(cpuSeconds(pid) - cpuBefore, 0.01),
    p50Ms: median(tookMs),
    p99Ms: quantile(tookMs, 0.99),
  }
}

async function startApi(folder: string, port: number, store: string, checkout: string | undefined) {
  const file = join(folder, 'api.toml')
  await writeFile(file, apiToml(port, store))
  const args = [builtApp('api', checkout), '--config', file]
  return startServer({ command: process.execPath, args, port, logFile: join(folder, 'api.log') })
}

const apiToml = (port: number, store: string) => `
listen = "127.0.0.1:${port}"
[auth]
method = "static"
[[auth.static.tokens]]
sha256 = "${createHash('sha256').update(HEADERS['X-Auth-Token']).digest('hex')}"
user_id = "bench"
project_id = "${PROJECT}"
roles = ["member", "service"]
[tokens]
store = "${store}"
[[sources]]
kind = "static"
[[sources.servers]]
id = "${SERVER}"
name = "bench"
project_id = "${PROJECT}"
status = "ACTIVE"
consoles.vnc = { host = "127.0.0.1", port = 5901 }
`
