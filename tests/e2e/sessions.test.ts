/** Sessions of a running api and proxy: listed, counted, ended, and logged for audits. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Client, Forbidden, NotFound, type Session } from '@oriel/sdk'
import {
  freePort,
  type LogRecord,
  type RunningProgram,
  type ScriptedServer,
  scriptedServer,
  startProgram,
  temporaryFolder,
} from '@oriel/testkit'
import { stringify } from 'smol-toml'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BeatGate, startBeatGate, withinOneBeat } from './parts/beat-gate.ts'
import {
  ADMIN_TOKEN,
  apiConfig,
  listening,
  MEMBER_TOKEN,
  merge,
  OTHER_PROJECT,
  PROJECT,
  programFile,
  proxyConfig,
  READER_TOKEN,
  SERVICE_TOKEN,
  type ServerEntry,
  STRANGER_TOKEN,
  startApp,
} from './parts/oriel.ts'
import { serveRfb } from './parts/rfb.ts'
import {
  clientOf,
  LOST_AFTER_MS,
  mint,
  open,
  refused,
  serverAt,
  sessionsOnce,
  sessionTables,
  tokenIn,
} from './parts/sessions.ts'

const MINE = '0f0c4b1e-52a9-4f6e-9c57-0f7a3a2a8a11'
const THEIRS = '0f0c4b1e-52a9-4f6e-9c57-0f7a3a2a8a12'
const ENDED = { code: 4008, text: 'An operator ended this session.' }
const REVOKED = { code: 4007, text: 'The permission to use this console was withdrawn.' }

/** An api that can be restarted with the same database, and a proxy that uses it. */
class Installation implements AsyncDisposable {
  readonly #scope = new AsyncDisposableStack()
  readonly apiPort: number
  readonly proxyPort: number
  readonly #folder: string
  /** The gate between the proxy and the api. */
  beats!: BeatGate
  api!: RunningProgram
  proxy!: RunningProgram

  constructor(apiPort: number, proxyPort: number, folder: string) {
    this.apiPort = apiPort
    this.proxyPort = proxyPort
    this.#folder = folder
  }

  static async start(servers: readonly ServerEntry[]): Promise<Installation> {
    const folder = await temporaryFolder()
    const installation = new Installation(await freePort(), await freePort(), folder.path)
    installation.#scope.use(folder)
    await installation.startApi(servers)
    installation.beats = installation.#scope.use(await startBeatGate(installation.apiPort))
    const tables = sessionTables(installation.beats.port, 'proxy-1')
    const config = merge(proxyConfig(installation.apiPort, installation.proxyPort), tables.proxy)
    installation.proxy = installation.#scope.use(await startApp('proxy', config))
    await listening(installation.proxy)
    return installation
  }

  /** Starts or restarts the api with these servers. */
  async startApi(servers: readonly ServerEntry[]): Promise<void> {
    const { api } = sessionTables(this.apiPort)
    const file = join(this.#folder, 'api.toml')
    await writeFile(file, stringify(merge(apiConfig(this.apiPort, this.proxyPort, servers), api)))
    const options = { file: programFile('api'), args: ['--config', file], cwd: this.#folder }
    this.api = this.#scope.use(await startProgram(options))
    await listening(this.api)
  }

  async killApi(): Promise<void> {
    process.kill(this.api.pid, 'SIGKILL')
    await this.api.exited
  }

  as(token: string): Client {
    return clientOf(this.apiPort, token)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.disposeAsync()
  }
}

/** The audit records of a session, without those of control: a short span of control has one record, a longer one two. */
const audits = ({ records }: RunningProgram, session: string) =>
  records
    .filter((record) => record.session === session)
    .map(({ audit }) => String(audit))
    .filter((audit) => !audit.startsWith('control-'))
const audit = (kind: string, session?: string) => (record: LogRecord) =>
  record.audit === kind && (session === undefined || record.session === session)

describe('sessions', () => {
  const parts = new AsyncDisposableStack()
  let oriel: Installation
  let member: Client

  beforeAll(async () => {
    const hypervisor = parts.use(await scriptedServer(serveRfb))
    const theirs = { ...serverAt(THEIRS, hypervisor), project_id: OTHER_PROJECT }
    oriel = parts.use(await Installation.start([serverAt(MINE, hypervisor), theirs]))
    member = oriel.as(MEMBER_TOKEN)
  })
  afterAll(() => parts.disposeAsync())

  const listed = async (query: { state?: 'open' | 'ended'; server_id?: string } = {}) =>
    (await member.oriel.listSessions({ query })).sessions
  const isOpen = (sessions: readonly Session[]) => sessions.length === 1
  const allEnded = () =>
    sessionsOnce(
      () => listed({ state: 'open' }),
      ({ length }) => length === 0,
    )

  it('are listed from the first byte, are counted, and are kept with their end reason', async () => {
    using console = await open(oriel.proxyPort, await mint(member, MINE))
    const [session] = await listed({ state: 'open' })
    expect(session).toMatchObject({
      ...{ server_id: MINE, server_name: 'name of 11', project_id: PROJECT, user_id: 'alice' },
      ...{ protocol: 'vnc', type: 'novnc', client_address: '127.0.0.1', proxy_id: 'proxy-1' },
      ...{ ended_at: null, end_reason: null },
    })
    await console.viewer.echo(Buffer.alloc(1000))
    const counted = (sessions: readonly Session[]) => (sessions[0]?.bytes_to_client ?? 0) >= 1000
    const [later] = await sessionsOnce(() => listed({ state: 'open' }), counted)
    expect(later).toMatchObject({ id: session!.id, bytes_to_console: later!.bytes_to_client })
    await console.close()
    const ended = await oriel.api.waitForLog(audit('ended', session!.id))
    expect(ended).toMatchObject({
      ...{ reason: 'client_closed', userId: 'alice', projectId: PROJECT, serverId: MINE, type: 'novnc' },
      ...{ clientAddress: '127.0.0.1', proxyId: 'proxy-1', bytesToClient: later!.bytes_to_client },
      ...{ durationMs: expect.any(Number) },
    })
    const [last] = await listed({ state: 'ended' })
    expect(last).toMatchObject({ id: session!.id, end_reason: 'client_closed', ended_at: expect.any(String) })
    expect(audits(oriel.api, session!.id)).toEqual(['admitted', 'ended'])
  })

  it('end within a heartbeat after a request, and only once', async () => {
    using console = await open(oriel.proxyPort, await mint(member, MINE))
    const [session] = await sessionsOnce(() => listed({ state: 'open' }), isOpen)
    const end = () => member.oriel.endSession({ session_id: session!.id })
    expect(await withinOneBeat(oriel.beats, end, console.closed)).toEqual(ENDED)
    await oriel.api.waitForLog(audit('ended', session!.id))
    await member.oriel.endSession({ session_id: session!.id })
    expect(audits(oriel.api, session!.id)).toEqual(['admitted', 'end-wanted', 'ended'])
    expect(oriel.api.records.find(audit('end-wanted', session!.id))).toMatchObject({ by: 'alice' })
  })

  it('cannot be reported as ended by another service, and still end on request', async () => {
    using console = await open(oriel.proxyPort, await mint(member, MINE))
    const [session] = await sessionsOnce(() => listed({ state: 'open' }), isOpen)
    const counts = { id: session!.id, bytes_to_client: 1, bytes_to_console: 1 }
    const ended = [{ ...counts, ended_at: '1970-01-01T00:00:00Z', reason: 'idle' as const }]
    const other = oriel.as(ADMIN_TOKEN).oriel
    await expect(other.beat({ proxy_id: 'proxy-1', body: { open: [], ended } })).rejects.toThrow(Forbidden)
    expect(await listed({ state: 'open' })).toMatchObject([{ id: session!.id, end_reason: null }])
    const end = () => member.oriel.endSession({ session_id: session!.id })
    expect(await withinOneBeat(oriel.beats, end, console.closed)).toEqual(ENDED)
    expect(await oriel.api.waitForLog(audit('ended', session!.id))).toMatchObject({ reason: 'ended' })
  })

  it('reused after revocation: end when their token is revoked, and no new one opens with it', async () => {
    const path = await mint(member, MINE)
    const unused = await mint(member, MINE)
    using console = await open(oriel.proxyPort, path)
    const revoke = async () => {
      await member.oriel.revokeTokens({ server_id: MINE })
      expect(await refused(oriel.proxyPort, path)).toBe(403)
      expect(await refused(oriel.proxyPort, unused)).toBe(403)
    }
    expect(await withinOneBeat(oriel.beats, revoke, console.closed)).toEqual(REVOKED)
    expect(await refused(oriel.proxyPort, path)).toBe(403)
    await allEnded()
  })

  it('terminate by GET: do not end at a GET, and neither is a token revoked', async () => {
    const path = await mint(member, MINE)
    using console = await open(oriel.proxyPort, path)
    const [session] = await sessionsOnce(() => listed({ state: 'open' }), isOpen)
    const resources = [`sessions/${session!.id}`, `servers/${MINE}/console-auth-tokens`, 'proxies/proxy-1']
    for (const resource of resources) {
      for (const method of ['GET', 'HEAD', 'POST', 'PATCH']) {
        const url = `http://127.0.0.1:${oriel.apiPort}/oriel/v1/${resource}`
        const { status } = await fetch(url, { method, headers: { 'X-Auth-Token': ADMIN_TOKEN } })
        expect({ method, resource, status }).toEqual({ method, resource, status: 404 })
      }
    }
    expect(await console.viewer.echo(Buffer.from('still here'))).toEqual(Buffer.from('still here'))
    // The count shows that a heartbeat has passed in which the session would have ended.
    const after = await sessionsOnce(
      () => listed({ state: 'open' }),
      ([first]) => first?.bytes_to_console !== 0,
    )
    expect(after.map(({ id }) => id)).toEqual([session!.id])
    await console.close()
    await allEnded()
  })

  it('CVE-2020-11997 other tenants’ history: are visible by role and project for each operation', async () => {
    using mine = await open(oriel.proxyPort, await mint(member, MINE))
    using theirs = await open(oriel.proxyPort, await mint(oriel.as(STRANGER_TOKEN), THEIRS))
    const all = await sessionsOnce(
      async () => (await oriel.as(ADMIN_TOKEN).oriel.listSessions({ query: { state: 'open' } })).sessions,
      ({ length }) => length === 2,
    )
    const idOf = (server_id: string) => all.find((session) => session.server_id === server_id)!.id
    const attempts = (token: string) => {
      const { oriel: api } = oriel.as(token)
      const marked = (marker: string) => api.listSessions({ query: { marker } })
      const servers = async (query: Record<string, string>) =>
        new Set((await api.listSessions({ query })).sessions.map(({ server_id }) => server_id))
      return {
        list: () => servers({}),
        'list the other project': () => servers({ project_id: OTHER_PROJECT }),
        'list the other server': () => servers({ server_id: THEIRS }),
        'page from a session of the other': () => marked(idOf(THEIRS)),
        'end one of the other': () => api.endSession({ session_id: idOf(THEIRS) }),
        'revoke of the other': () => api.revokeTokens({ server_id: THEIRS }),
        'end one of my project': () => api.endSession({ session_id: idOf(MINE) }),
        beat: () => api.beat({ proxy_id: 'proxy-1', body: { open: [], ended: [] } }),
        admit: () => api.admitSession({ body: { token: 'x', proxy_id: 'proxy-1', client_address: '1.2.3.4' } }),
      }
    }
    const refusals = {
      beat: Forbidden,
      admit: Forbidden,
      'end one of the other': NotFound,
      'revoke of the other': NotFound,
    }
    const none = { 'list the other project': new Set(), 'list the other server': new Set() }
    const matrix = {
      [MEMBER_TOKEN]: { ...refusals, ...none, list: new Set([MINE]), 'page from a session of the other': Error },
      [READER_TOKEN]: {
        ...{ ...refusals, ...none, list: new Set([MINE]), 'page from a session of the other': Error },
        ...{ 'end one of the other': Forbidden, 'end one of my project': Forbidden, 'revoke of the other': Forbidden },
      },
      [STRANGER_TOKEN]: {
        beat: Forbidden,
        admit: Forbidden,
        list: new Set([THEIRS]),
        'end one of my project': NotFound,
      },
      [SERVICE_TOKEN]: {
        ...{ list: Forbidden, 'list the other project': Forbidden, 'list the other server': Forbidden },
        ...{ 'end one of the other': Forbidden, 'end one of my project': Forbidden, 'revoke of the other': Forbidden },
      },
      [ADMIN_TOKEN]: { list: new Set([MINE, THEIRS]), 'list the other server': new Set([THEIRS]) },
    }
    const seen: Record<string, Record<string, unknown>> = {}
    for (const [token, expected] of Object.entries(matrix)) {
      const tried = attempts(token)
      seen[token] = {}
      for (const [name, outcome] of Object.entries(expected)) {
        const result = await tried[name as keyof typeof tried]().catch((error: unknown) => error)
        const fits = typeof outcome === 'function' ? result instanceof outcome : undefined
        seen[token][name] = fits === undefined ? result : fits ? outcome : result
      }
    }
    expect(seen).toEqual(matrix)
    for (const console of [mine, theirs]) await console.viewer.echo(Buffer.from('untouched'))
    await Promise.all([mine.close(), theirs.close()])
    await allEnded()
  })

  it('are logged for audits without credentials, as are refusals', async () => {
    const path = await mint(member, MINE)
    using console = await open(oriel.proxyPort, path)
    await console.close()
    const unknown = '8d3c1e8e-1111-4222-8333-123456789abc'
    expect(await refused(oriel.proxyPort, `?token=${unknown}`)).toBe(403)
    expect(await oriel.api.waitForLog(audit('refused'))).toMatchObject({
      clientAddress: '127.0.0.1',
      proxyId: 'proxy-1',
    })
    await allEnded()
    const told = JSON.stringify([oriel.api.records, oriel.proxy.records, await listed()])
    for (const secret of [tokenIn(path), unknown, MEMBER_TOKEN, SERVICE_TOKEN]) expect(told).not.toContain(secret)
  })

  it('end at once with the client’s close reason if the machine has no console', async () => {
    await using lone = await Installation.start([serverAt(MINE, { host: '127.0.0.1', port: await freePort() })])
    expect(await refused(lone.proxyPort, await mint(lone.as(MEMBER_TOKEN), MINE))).toBe(502)
    expect(await lone.api.waitForLog(audit('ended'))).toMatchObject({ reason: 'console_unreachable', bytesToClient: 0 })
  })
})

describe('an api that is down for longer than a proxy may be silent', () => {
  it('ends no session, and learns afterwards of all sessions that ended meanwhile', async () => {
    await using hypervisor = await scriptedServer(serveRfb)
    const servers = [serverAt(MINE, hypervisor)]
    await using oriel = await Installation.start(servers)
    const member = oriel.as(MEMBER_TOKEN)
    const listed = async () => (await member.oriel.listSessions()).sessions
    using stays = await open(oriel.proxyPort, await mint(member, MINE))
    using leaves = await open(oriel.proxyPort, await mint(member, MINE))
    const before = await sessionsOnce(listed, ({ length }) => length === 2)
    await oriel.killApi()
    await oriel.proxy.waitForLog(({ msg }) => msg === 'sessions cannot be reported to the authority')
    await leaves.close()
    await new Promise((resolve) => setTimeout(resolve, LOST_AFTER_MS)) // the outage must last that long
    expect(await refused(oriel.proxyPort, `?token=${stays.token}`)).toBe(503)
    expect(await stays.viewer.echo(Buffer.from('still here'))).toEqual(Buffer.from('still here'))
    await oriel.startApi(servers)
    const ended = await oriel.api.waitForLog(audit('ended'))
    expect(ended).toMatchObject({ reason: 'client_closed', userId: 'alice' })
    const after = await listed()
    expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id))
    expect(after.map(({ end_reason }) => end_reason).toSorted()).toEqual(['client_closed', null])
    const open_ = after.find(({ end_reason }) => end_reason === null)!
    await member.oriel.endSession({ session_id: open_.id })
    expect(await stays.closed).toEqual(ENDED)
    await oriel.api.waitForLog(audit('ended', open_.id))
    expect(oriel.api.records.filter(audit('ended'))).toHaveLength(2)
  })
})

describe('CVE-2013-0335 port reuse', () => {
  it.each([
    ['is gone, and another listens on its port', (b: ScriptedServer) => [serverAt(THEIRS, b)]],
    [
      'has moved, and another listens on its port',
      (b: ScriptedServer, elsewhere: ScriptedServer) => [serverAt(THEIRS, b), serverAt(MINE, elsewhere)],
    ],
    ['has another owner', (b: ScriptedServer) => [{ ...serverAt(MINE, b), project_id: OTHER_PROJECT }]],
  ])('a token of a machine that %s opens no console, even at a proxy that was not restarted', async (_, afterwards) => {
    await using port = await scriptedServer(serveRfb)
    await using elsewhere = await scriptedServer(serveRfb)
    await using oriel = await Installation.start([serverAt(MINE, port)])
    const path = await mint(oriel.as(MEMBER_TOKEN), MINE)
    using before = await open(oriel.proxyPort, path)
    await before.close()
    const connections = [port.connections, elsewhere.connections]
    await oriel.killApi()
    await oriel.startApi(afterwards(port, elsewhere))
    expect(await refused(oriel.proxyPort, path)).toBe(409)
    expect(await oriel.api.waitForLog(audit('refused'))).toMatchObject({ reason: 'console_moved', serverId: MINE })
    expect(await refused(oriel.proxyPort, path)).toBe(403)
    expect([port.connections, elsewhere.connections]).toEqual(connections)
  })
})
