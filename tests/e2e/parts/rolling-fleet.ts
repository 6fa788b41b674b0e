/**
 * Two apis with one PostgreSQL and two proxies, behind HAProxy with deploy/haproxy.cfg, whose programs are replaced one at a time
 * while consoles are open and clients create new ones.
 */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, type RunningProgram, scriptedServer, startProgram, temporaryFolder } from '@oriel/testkit'
import { stringify } from 'smol-toml'
import { WebSocket } from 'ws'
import { startPostgres } from './databases.ts'
import { startDeployedHaproxy } from './deployed-haproxy.ts'
import { apiConfig, listening, MEMBER_TOKEN, merge, proxyConfig, SERVICE_TOKEN, type ServerEntry } from './oriel.ts'
import { asViewer, serveRfb } from './rfb.ts'
import { orielAuthority } from './sessions.ts'

const CONSOLES = 50
const MINTING_CLIENTS = 4

/** The files of the programs of one version. */
export interface Version {
  readonly name: string
  readonly api: string
  readonly proxy: string
}

export interface Fleet extends AsyncDisposable {
  readonly publicPort: number
  readonly apiPort: number
  /** The ids of the machines. */
  readonly servers: readonly string[]
  /** Replaces the programs one at a time: the apis, then the proxies. Waits until HAProxy uses each again. */
  replace(version: Version, order?: readonly ('api' | 'proxy')[]): Promise<void>
}

type App = 'api' | 'proxy'

export async function startFleet(version: Version): Promise<Fleet> {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder()).path
  const hypervisor = scope.use(await scriptedServer(serveRfb))
  const store = await scope.use(await startPostgres()).createDatabase()
  const ports = await Promise.all(Array.from({ length: 6 }, freePort))
  const [publicPort, apiPort] = [ports[0]!, ports[1]!]
  const of = { api: ports.slice(2, 4), proxy: ports.slice(4) }
  const vnc = { host: hypervisor.host, port: hypervisor.port }
  const entries = Array.from(
    { length: CONSOLES },
    (_, i): ServerEntry => ({ id: idOf(i), name: `m-${i}`, consoles: { vnc } }),
  )
  const keyFile = join(folder, 'resume.key')
  await writeFile(keyFile, 'k'.repeat(44))
  const configs = {
    api: of.api.map((port) => merge(apiConfig(port, publicPort, entries), { tokens: { store } })),
    proxy: of.proxy.map((port, i) =>
      merge(proxyConfig(apiPort, port), {
        authority: orielAuthority(apiPort, `proxy-${i}`),
        origin: { trusted_proxies: ['127.0.0.1'] },
        sessions: { resume_key_file: keyFile, max_per_client: 1000, max_waiting_per_client: 1000 },
      }),
    ),
  }
  const programs: Record<App, RunningProgram[]> = { api: [], proxy: [] }
  const running = scope.use(new AsyncDisposableStack())
  const start = async (app: App, i: number, { [app]: file }: Version) => {
    const config = join(folder, `${app}-${i}.toml`)
    await writeFile(config, stringify(configs[app][i]!))
    const program = await startProgram({ file, args: ['--config', config], cwd: folder })
    running.use(program)
    await listening(program)
    programs[app][i] = program
  }
  for (const app of ['api', 'proxy'] as const) for (const i of [0, 1]) await start(app, i, version)
  const socket = join(folder, 'haproxy.sock')
  scope.use(
    await startDeployedHaproxy(
      { publicPort, apiPort, apiPorts: of.api, proxyPorts: of.proxy },
      { global: `stats socket ${socket}`, server: 'inter 500ms' },
    ),
  )
  await untilUp(socket)
  const all = scope.move()
  return {
    ...{ publicPort, apiPort, servers: entries.map(({ id }) => id) },
    async replace(next, order = ['api', 'proxy']) {
      for (const app of order) {
        for (const i of [0, 1]) {
          const { code, signal } = await programs[app][i]!.stop({ timeoutMs: 60_000 })
          if (code !== 0) throw new Error(`${app} ${i} ended with ${code ?? signal}: ${programs[app][i]!.stderr}`)
          await start(app, i, next)
          await untilUp(socket)
        }
      }
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

const idOf = (i: number) => `52b2e44e-e561-464c-88f3-${String(i).padStart(12, '0')}`

/** Polls HAProxy until each of its servers has passed its last check. */
async function untilUp(path: string): Promise<void> {
  for (;;) {
    const socket = connect(path)
    await once(socket, 'connect')
    socket.end('show stat\n')
    const rows = (await text(socket)).split('\n').map((line) => line.split(','))
    const at = rows[0]!.indexOf('check_status')
    const servers = rows.filter(([, name]) => name === 'one' || name === 'two')
    if (
      servers.length === 4 &&
      servers.every((row) => /^L7OK/.test(row[at]!) && row[rows[0]!.indexOf('status')] === 'UP')
    )
      return
    await sleep(50)
  }
}

/** What 50 open consoles and some clients that create new ones saw. */
export interface Report {
  /** Consoles that were created, looked up at once and again at the end. */
  minted: number
  /** Every answer to a creation or look-up that is not the expected one, and every broken connection. */
  readonly failedRequests: string[]
  echoes: number
  /** Closes of the open consoles: code and sentence, with the number. */
  readonly closes: Map<string, number>
  /** Every console that could not be opened again at the first attempt. */
  readonly failedDials: string[]
  /** The longest time that a console was closed, in milliseconds. */
  longestGapMs: number
}

export interface Load {
  /** Stops the clients, looks every created token up again, and checks that every console is open. */
  finish(): Promise<Report>
}

/** Opens a console of each machine, which then echoes, and starts clients that create consoles. They never retry a request. */
export async function startLoad(fleet: Fleet): Promise<Load> {
  const report: Report = {
    ...{ minted: 0, failedRequests: [], echoes: 0, closes: new Map(), failedDials: [], longestGapMs: 0 },
  }
  const stopping = new AbortController()
  const tokens: string[] = []
  const opened = fleet.servers.map(() => Promise.withResolvers<void>())
  const consoles: Promise<void>[] = []
  for (const [i, id] of fleet.servers.entries()) {
    const url = await mint(fleet, id)
    consoles.push(keepOpen(fleet, url, report, stopping.signal, opened[i]!.resolve))
  }
  await Promise.race([Promise.all(consoles), Promise.all(opened.map(({ promise }) => promise))])
  const clients = Array.from({ length: MINTING_CLIENTS }, (_, i) => mintOn(fleet, i, report, tokens, stopping.signal))
  return {
    async finish() {
      stopping.abort()
      await Promise.all([...consoles, ...clients])
      for (const token of tokens) await lookUp(fleet, token, report)
      return report
    },
  }
}

/** Opens a console, and opens it again with the same token whenever it closes. */
async function keepOpen(
  fleet: Fleet,
  url: string,
  report: Report,
  stop: AbortSignal,
  opened: () => void,
): Promise<void> {
  const address = `ws://127.0.0.1:${fleet.publicPort}/${new URL(url).searchParams.get('path')}`
  let closedAt: number | undefined
  while (!stop.aborted) {
    const socket = dial(address)
    const closed = once(socket, 'close').then(([code, reason]) => `${code} ${reason}`)
    closed.catch(() => {})
    try {
      const viewer = await asViewer(socket)
      if (closedAt !== undefined) report.longestGapMs = Math.max(report.longestGapMs, performance.now() - closedAt)
      opened()
      for (; !stop.aborted; report.echoes += 1) {
        const sent = Buffer.from(`echo ${report.echoes}`)
        const received = await viewer.echo(sent)
        if (!received.equals(sent)) throw new Error(`the console echoed ${received} for ${sent}`)
        await sleep(100)
      }
      socket.terminate()
    } catch (error) {
      if (String(error).includes(DRAINING)) {
        count(report.closes, DRAINING)
        continue
      }
      if (!String(error).includes('closed with')) {
        report.failedDials.push(String(error))
        await sleep(200)
        continue
      }
      closedAt = performance.now()
      count(report.closes, await closed)
    }
  }
}

/** The refusal of a proxy that stops while a client dials. As Oriel's pages do, the client then dials again. */
export const DRAINING = '503: The console proxy is restarting. Try again in a moment.'

const count = (counts: Map<string, number>, key: string) => counts.set(key, (counts.get(key) ?? 0) + 1)

/** Dials a console. A refusal becomes an error with its status and text. */
function dial(address: string): WebSocket {
  const socket = new WebSocket(address, ['binary'])
  socket.on('unexpected-response', async (request: ClientRequest, response: IncomingMessage) => {
    request.destroy(new Error(`${response.statusCode}: ${(await text(response)).trim()}`))
  })
  return socket
}

/** Creates consoles one after another, and looks each token up as a proxy does. */
async function mintOn(
  fleet: Fleet,
  client: number,
  report: Report,
  tokens: string[],
  stop: AbortSignal,
): Promise<void> {
  for (let i = client; !stop.aborted; i += MINTING_CLIENTS) {
    const url = await mint(fleet, fleet.servers[i % CONSOLES]!).catch((error: unknown) => {
      report.failedRequests.push(reasonOf(error))
    })
    if (url === undefined) continue
    const token = /token(?:=|%3D)([\w-]+)/.exec(url)![1]!
    report.minted += 1
    tokens.push(token)
    await lookUp(fleet, token, report)
    await sleep(20)
  }
}

async function lookUp(fleet: Fleet, token: string, report: Report): Promise<void> {
  await call(fleet, `os-console-auth-tokens/${token}`, SERVICE_TOKEN).catch((error: unknown) => {
    report.failedRequests.push(reasonOf(error))
  })
}

const reasonOf = (error: unknown) => [error, (error as Error).cause].filter(Boolean).map(String).join(': ')

async function mint(fleet: Fleet, id: string): Promise<string> {
  const body = JSON.stringify({ remote_console: { protocol: 'vnc', type: 'novnc' } })
  const answer = await call(fleet, `servers/${id}/remote-consoles`, MEMBER_TOKEN, body)
  return (answer as { remote_console: { url: string } }).remote_console.url
}

/** Sends a request through HAProxy. @throws Error for any answer but 200 */
async function call(fleet: Fleet, path: string, token: string, body?: string): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${fleet.apiPort}/v2.1/${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'X-Auth-Token': token, 'Content-Type': 'application/json', 'OpenStack-API-Version': 'compute 2.31' },
    ...(body !== undefined && { body }),
    signal: AbortSignal.timeout(30_000),
  })
  const answer = await response.text()
  if (response.status !== 200) throw new Error(`${response.status} for ${path.split('/')[0]}: ${answer.slice(0, 200)}`)
  return JSON.parse(answer)
}
