import { fileURLToPath } from 'node:url'
import type { Session } from '@oriel/sdk'
import {
  freePort,
  type LogRecord,
  type RunningProgram,
  requires,
  type ScriptedServer,
  scriptedServer,
  startProgram,
} from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BeatGate, startBeatGate, withinOneBeat } from './parts/beat-gate.ts'
import { startPostgres } from './parts/databases.ts'
import { startDeployedHaproxy } from './parts/deployed-haproxy.ts'
import { listening, MEMBER_TOKEN, programFile, SERVICE_TOKEN, sha256 } from './parts/oriel.ts'
import { serveRfb } from './parts/rfb.ts'
import {
  BEAT_SECONDS,
  clientOf,
  distributed,
  mint,
  type OpenConsole,
  open,
  pathOf,
  refused,
  sessionsOnce,
} from './parts/sessions.ts'

/** The id of the server in deploy/api.toml. */
const SERVER = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const NAMES = ['proxy-one', 'proxy-two'] as const
type Name = (typeof NAMES)[number]
const { skip, reason } = requires('haproxy', 'postgres')

describe.skipIf(skip)(`two apis on one PostgreSQL with two proxies behind HAProxy${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let hypervisor: ScriptedServer
  let site: Site

  beforeAll(async () => {
    hypervisor = parts.use(await scriptedServer(serveRfb))
    site = parts.use(await startSite(hypervisor))
  })
  afterAll(() => parts.disposeAsync())

  const member = (api: 0 | 1) => clientOf(site.apis[api].port, MEMBER_TOKEN)
  const openAt = async (api: 0 | 1) => (await member(api).oriel.listSessions({ query: { state: 'open' } })).sessions
  const openOf = (sessions: readonly Session[], name: Name) => sessions.find(({ proxy_id }) => proxy_id === name)

  /** Opens a console through each proxy, with one token of the first api. Each proxy uses a different api. */
  async function openThroughBoth(): Promise<Record<Name, OpenConsole> & Disposable> {
    const path = distributed(await mint(member(0), SERVER))
    const known = new Set((await openAt(0)).map(({ id }) => id))
    const consoles: Partial<Record<Name, OpenConsole>> = {}
    using scope = new DisposableStack()
    while (NAMES.some((name) => !consoles[name])) {
      const console = scope.use(await open(site.publicPort, path))
      const fresh = await sessionsOnce(
        async () => (await openAt(1)).filter(({ id }) => !known.has(id)),
        ({ length }) => length === 1,
      )
      known.add(fresh[0]!.id)
      // The list of sessions begins with the newest one.
      consoles[fresh[0]!.proxy_id as Name] = console
    }
    const kept = scope.move()
    return { ...(consoles as Record<Name, OpenConsole>), [Symbol.dispose]: () => kept.dispose() }
  }

  it('open all consoles of a machine through one proxy, by the id in their URLs', async () => {
    const known = new Set((await openAt(0)).map(({ id }) => id))
    using scope = new DisposableStack()
    for (let i = 0; i < 4; i += 1) scope.use(await open(site.publicPort, await mint(member(0), SERVER)))
    const fresh = (await openAt(0)).filter(({ id }) => !known.has(id))
    expect(fresh).toHaveLength(4)
    expect(new Set(fresh.map(({ proxy_id }) => proxy_id)).size).toBe(1)
  })

  it('accept a token of one api at the other, through either proxy', async () => {
    using consoles = await openThroughBoth()
    for (const name of NAMES) {
      expect(await consoles[name].viewer.echo(Buffer.from(name))).toEqual(Buffer.from(name))
    }
    for (const [i, name] of NAMES.entries()) {
      await site.apis[i]!.program.waitForLog(({ audit, proxyId }) => audit === 'admitted' && proxyId === name)
    }
    expect((await openAt(0)).map(({ id }) => id)).toEqual((await openAt(1)).map(({ id }) => id))
  })

  it('close a session within a heartbeat when it is ended at the other proxy’s api', async () => {
    using consoles = await openThroughBoth()
    const sessions = await openAt(0)
    for (const [name, api] of [
      ['proxy-one', 1],
      ['proxy-two', 0],
    ] as const) {
      const end = () => member(api).oriel.endSession({ session_id: openOf(sessions, name)!.id })
      const { code } = await withinOneBeat(site.beats[NAMES.indexOf(name)]!, end, consoles[name].closed)
      expect(code).toBe(4008)
    }
  })

  it('revoke a token of one api at the other', async () => {
    using consoles = await openThroughBoth()
    await member(1).oriel.revokeTokens({ server_id: SERVER })
    for (const name of NAMES) expect((await consoles[name].closed).code).toBe(4007)
    const path = `?token=${consoles['proxy-one'].token}`
    await expect(open(site.publicPort, path)).rejects.toThrow('403')
  })

  it('let a single-use URL open one console, through either proxy', async () => {
    const body = { type: 'novnc', single_use: true } as const
    const { console } = await member(0).oriel.createConsole({ server_id: SERVER, body })
    const path = distributed(pathOf(console.url))
    using _first = await open(site.publicPort, path)
    // HAProxy gives these to both proxies in turn.
    for (let i = 0; i < 4; i += 1) expect(await refused(site.publicPort, path)).toBe(403)
  })

  it('end the session of a guest whose invitation is revoked at the other api, and no other', async () => {
    const known = new Set((await openAt(0)).map(({ id }) => id))
    using console = await open(site.publicPort, await mint(member(0), SERVER))
    const [session] = await sessionsOnce(
      async () => (await openAt(0)).filter(({ id }) => !known.has(id)),
      ({ length }) => length === 1,
    )
    const of = { session_id: session!.id }
    const { invitation } = await member(0).oriel.createInvitation({ ...of, body: { role: 'watch', label: 'Bob' } })
    using guest = await open(site.publicPort, pathOf(invitation.url))
    await member(1).oriel.revokeInvitation({ ...of, invitation_id: invitation.id })
    expect((await guest.closed).code).toBe(4007)
    expect(await console.viewer.echo(Buffer.from('still here'))).toEqual(Buffer.from('still here'))
  })

  it('keep sessions and open new ones when the api of one proxy is killed', async () => {
    const { apiPort } = site
    const proxyPort = await freePort()
    await using _proxy = await startProxy({ apiPort, port: proxyPort, name: 'behind-haproxy' })
    using console = await open(proxyPort, await mint(member(0), SERVER))
    process.kill(site.apis[0].program.pid, 'SIGKILL')
    await site.apis[0].program.exited
    const [session] = await sessionsOnce(
      async () => (await openAt(1)).filter(({ proxy_id }) => proxy_id === 'behind-haproxy'),
      ({ length }) => length === 1,
    )
    expect(await console.viewer.echo(Buffer.from('still here'))).toEqual(Buffer.from('still here'))
    await member(1).oriel.endSession({ session_id: session!.id })
    expect((await console.closed).code).toBe(4008)
    site.apis[0].program = await site.startApi(0)
  })

  it('list no session of a killed proxy after three heartbeats, and log that once', async () => {
    using consoles = await openThroughBoth()
    const before = await openAt(0)
    const { id: lost } = openOf(before, 'proxy-two')!
    const { id: kept } = openOf(before, 'proxy-one')!
    process.kill(site.proxies[1]!.pid, 'SIGKILL')
    await site.proxies[1]!.exited
    const after = await sessionsOnce(
      () => openAt(0),
      (sessions) => !openOf(sessions, 'proxy-two'),
    )
    expect(after.map(({ id }) => id)).toContain(kept)
    const [ended] = (await member(1).oriel.listSessions({ query: { state: 'ended' } })).sessions.filter(
      ({ id }) => id === lost,
    )
    expect(ended).toMatchObject({ end_reason: 'proxy_lost', ended_at: expect.any(String) })
    const isEnd = ({ audit, session }: LogRecord) => audit === 'ended' && session === lost
    await Promise.any(site.apis.map(({ program }) => program.waitForLog(isEnd)))
    expect(site.apis.flatMap(({ program }) => program.records.filter(isEnd))).toHaveLength(1)
    expect(await consoles['proxy-one'].viewer.echo(Buffer.from('alive'))).toEqual(Buffer.from('alive'))
  })
})

interface Api {
  readonly port: number
  program: RunningProgram
}

interface Site extends AsyncDisposable {
  readonly apis: readonly [Api, Api]
  readonly proxies: readonly RunningProgram[]
  /** The gates between each proxy and its api. */
  readonly beats: readonly BeatGate[]
  /** HAProxy's ports: for consoles, and for the apis. */
  readonly publicPort: number
  readonly apiPort: number
  startApi(index: number): Promise<RunningProgram>
}

async function startSite(hypervisor: ScriptedServer): Promise<Site> {
  await using scope = new AsyncDisposableStack()
  const database = scope.use(await startPostgres())
  const store = await database.createDatabase()
  const [publicPort, apiPort, ...rest] = await Promise.all(Array.from({ length: 6 }, freePort))
  const [apiPorts, proxyPorts] = [rest.slice(0, 2), rest.slice(2)]
  const programs = scope.use(new AsyncDisposableStack())
  const startApi = async (index: number) =>
    programs.use(await startDeployedApi({ store, port: apiPorts[index]!, publicPort: publicPort!, hypervisor }))
  const apis = await Promise.all([0, 1].map(async (i) => ({ port: apiPorts[i]!, program: await startApi(i) })))
  const beats: BeatGate[] = []
  const proxies: RunningProgram[] = []
  for (const [i, name] of NAMES.entries()) {
    beats.push(scope.use(await startBeatGate(apiPorts[i]!)))
    proxies.push(scope.use(await startProxy({ apiPort: beats[i]!.port, port: proxyPorts[i]!, name })))
  }
  scope.use(await startDeployedHaproxy({ publicPort: publicPort!, apiPort: apiPort!, apiPorts, proxyPorts }))
  const all = scope.move()
  return {
    ...{ apis: apis as unknown as [Api, Api], proxies, beats, publicPort: publicPort!, apiPort: apiPort!, startApi },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

const deployed = (file: string) => fileURLToPath(new URL(`../../deploy/${file}`, import.meta.url))

/** Starts a program with its unchanged file of deploy/, and overrides keys with environment variables. */
async function startDeployed(app: 'api' | 'proxy', env: Record<string, string>): Promise<RunningProgram> {
  const args = ['--config', deployed(`${app}.toml`)]
  const program = await startProgram({ file: programFile(app), args, env })
  await listening(program)
  return program
}

interface ApiPlace {
  readonly store: string
  readonly port: number
  readonly publicPort: number
  readonly hypervisor: ScriptedServer
}

const startDeployedApi = ({ store, port, publicPort, hypervisor }: ApiPlace) =>
  startDeployed('api', {
    ORIEL_LISTEN: `127.0.0.1:${port}`,
    ORIEL_PUBLIC_URL: `http://127.0.0.1:${port}`,
    ORIEL_TOKENS__STORE: store,
    ORIEL_SESSIONS__BEAT_SECONDS: String(BEAT_SECONDS),
    ORIEL_AUTH__STATIC__TOKENS__0__SHA256: sha256(MEMBER_TOKEN),
    ORIEL_AUTH__STATIC__TOKENS__1__SHA256: sha256(SERVICE_TOKEN),
    ORIEL_CONSOLES__NOVNC__BASE_URL: `http://127.0.0.1:${publicPort}/vnc_lite.html`,
    ORIEL_SOURCES__0__SERVERS__0__CONSOLES__VNC__HOST: hypervisor.host,
    ORIEL_SOURCES__0__SERVERS__0__CONSOLES__VNC__PORT: String(hypervisor.port),
    ORIEL_ADMIN__LISTEN: '127.0.0.1:0',
  })

const startProxy = ({ apiPort, port, name }: { apiPort: number; port: number; name: string }) =>
  startDeployed('proxy', {
    ORIEL_AUTHORITY__ENDPOINT: `http://127.0.0.1:${apiPort}/v2.1`,
    ORIEL_AUTHORITY__TIMEOUT_MS: '20000',
    ORIEL_AUTHORITY__PROXY_ID: name,
    ORIEL_AUTHORITY__AUTH__TOKEN: SERVICE_TOKEN,
    ORIEL_LISTEN__0__ADDRESS: `127.0.0.1:${port}`,
    ORIEL_ADMIN__LISTEN: '127.0.0.1:0',
  })
