/** Oriel's own extension over HTTP, without a network. */
import { randomUUID } from 'node:crypto'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { extensionRoutes } from '@oriel/contract'
import { createLogger, Secret, silentLogger } from '@oriel/runtime'
import { afterAll, describe, expect, test } from 'vitest'
import { createKeeper, openStores, type Source, SourceError, StoreUnavailable } from '../../src/index.ts'
import { serialPortStoreSuite } from '../serial-ports/store.suite.ts'
import {
  address,
  type Caller,
  consolesPath,
  fakeSource,
  OTHER_PROJECT,
  PROJECT,
  remoteConsole,
  SERVER_ID,
  server,
  type TestApi,
  testApi,
} from '../support.ts'
import { newSession, sessionStoreSuite } from './store.suite.ts'

const folder = await mkdtempDisposable(join(tmpdir(), 'oriel-sessions-'))
afterAll(() => folder[Symbol.asyncDispose]())

sessionStoreSuite('SQLite in memory', (now) => openStores('sqlite::memory:', { now }))
sessionStoreSuite('SQLite in a file', (now) => openStores(`sqlite:${join(folder.path, `${randomUUID()}.db`)}`, { now }))
serialPortStoreSuite('SQLite in memory', (now) => openStores('sqlite::memory:', { now }))

const SESSIONS = '/oriel/v1/sessions'
const proxyPath = (id = 'proxy-1') => `/oriel/v1/proxies/${id}`
const revocation = (id = SERVER_ID) => `/oriel/v1/servers/${id}/console-auth-tokens`
const connect = (token: string) => ({ token, proxy_id: 'proxy-1', client_address: '10.0.0.9' })

async function minted(api: TestApi): Promise<string> {
  const { body } = await api.call('POST', consolesPath(), { version: '2.6', body: remoteConsole('vnc', 'novnc') })
  return decodeURIComponent((body as { remote_console: { url: string } }).remote_console.url).split('token=')[1]!
}

const admit = async (api: TestApi, token: string, as: Caller = 'service') =>
  api.call('POST', SESSIONS, { as, body: connect(token) })

async function admitted(api: TestApi): Promise<string> {
  const { body } = await admit(api, await minted(api))
  return (body as { session: { id: string } }).session.id
}

const beat = (api: TestApi, body: object = { open: [], ended: [] }) =>
  api.call('PUT', proxyPath(), { as: 'service', body })

/** A log that can be read. */
function capture() {
  const lines: string[] = []
  const log = createLogger({ name: 'test', level: 'trace', destination: { write: (line) => void lines.push(line) } })
  const audits = () => lines.map((line) => JSON.parse(line)).filter(({ audit }) => audit !== undefined)
  return { log, lines, audits }
}

describe('admitting a session', () => {
  test('returns the console to the proxy, and adds the session', async () => {
    await using api = await testApi()
    const { status, body, headers } = await admit(api, await minted(api))
    expect(status).toBe(200)
    expect(body).toEqual({
      session: {
        id: expect.any(String),
        console: {
          ...{ instance_uuid: SERVER_ID, instance_name: 'web-1', project_id: PROJECT, user_id: 'alice' },
          ...{ protocol: 'vnc', type: 'novnc', host: address.host, port: address.port },
          ...{ tls_port: address.tlsPort, internal_access_path: address.internalAccessPath },
          base_url: 'http://127.0.0.1:6080/vnc_lite.html',
          expires_at: expect.stringMatching(/^\d{4}-.*Z$/),
          ...{ role: 'control', label: null, may_invite: true },
        },
      },
    })
    expect(headers.get('X-OpenStack-Request-ID')).toMatch(/^req-/)
    expect([...headers.keys()].filter((name) => name.endsWith('api-version'))).toEqual([])
    expect(await api.deps.sessions.list({ limit: 2 })).toHaveLength(1)
  })

  test('returns the password of the console only to the proxy, and asks the source for it only then', async () => {
    const password = 'pw-of-the-console'
    const asked: (boolean | undefined)[] = []
    const source = fakeSource(undefined, {
      console: async (_server, _protocol, _type, options) => {
        asked.push(options?.withPassword)
        return { ...address, ...(options?.withPassword && { password: new Secret(password) }) }
      },
    })
    const { log, lines } = capture()
    await using api = await testApi({ source, log })
    const token = await minted(api)
    expect(asked).toEqual([undefined])
    const shown = await api.call('GET', `/v2.1/os-console-auth-tokens/${token}`, { as: 'service', version: '2.99' })
    expect(shown).toMatchObject({ status: 200, body: { console: { host: address.host } } })
    expect(asked).toEqual([undefined])
    const admission = await admit(api, token)
    expect(asked).toEqual([undefined, true])
    expect(admission.body).toMatchObject({ session: { console: { password } } })
    const listed = await api.call('GET', SESSIONS)
    expect(listed.body).toMatchObject({ sessions: [{ server_id: SERVER_ID }] })
    expect(lines.join()).toContain('session admitted')
    for (const text of [JSON.stringify([shown.body, listed.body]), lines.join()]) expect(text).not.toContain(password)
  })

  test('refuses a token that is unknown, expired or revoked', async () => {
    await using api = await testApi({ toml: 'tokens.ttl_seconds = 0' })
    for (const token of ['x', await minted(api)]) {
      expect(await admit(api, token)).toMatchObject({ status: 404, fault: { key: 'itemNotFound' } })
    }
    expect(await api.deps.sessions.list({ limit: 1 })).toEqual([])
  })

  test.each<[string, Partial<Source>]>([
    ['the server is gone', { find: async () => undefined }],
    ['the server is deleted', { find: async () => server({ vmState: 'deleted' }) }],
    ['the server has another owner', { find: async () => server({ projectId: OTHER_PROJECT }) }],
    ['another port', { console: async () => ({ ...address, port: 5999 }) }],
    ['another host', { console: async () => ({ ...address, host: '10.0.0.6' }) }],
    ['another TLS port', { console: async () => ({ ...address, tlsPort: null }) }],
    ['another path inside', { console: async () => ({ ...address, internalAccessPath: 'other' }) }],
    ...(['ConsoleTypeUnavailable', 'ConsoleNotAvailable', 'InstanceNotFound'] as const).map(
      (code): [string, Partial<Source>] => [code, { console: async () => Promise.reject(new SourceError(code)) }],
    ),
  ])(
    'CVE-2013-0335 port reuse: refuses a console that is not where it was, and revokes the token: %s',
    async (_, then) => {
      const source = fakeSource()
      await using api = await testApi({ source })
      const token = await minted(api)
      Object.assign(source, then)
      expect(await admit(api, token)).toMatchObject({ status: 409, fault: { key: 'conflictingRequest' } })
      Object.assign(source, fakeSource())
      expect(await admit(api, token)).toMatchObject({ status: 404 })
      expect(await api.deps.sessions.list({ limit: 1 })).toEqual([])
    },
  )

  test('keeps the token while the source is unavailable', async () => {
    const source = fakeSource()
    await using api = await testApi({ source })
    const token = await minted(api)
    for (const fails of ['find', 'console'] as const) {
      Object.assign(source, { [fails]: async () => Promise.reject(new Error('no answer')) })
      expect((await admit(api, token)).status).toBe(500)
      Object.assign(source, fakeSource())
    }
    expect((await admit(api, token)).status).toBe(200)
  })

  test('refuses a token that is revoked during the query of the source', async () => {
    const stores = await openStores('sqlite::memory:')
    const add: typeof stores.sessions.add = async (session) => {
      const revoked = await api.call('DELETE', revocation(), { as: 'member' })
      expect(revoked.status).toBe(204)
      return stores.sessions.add(session)
    }
    const { log, audits } = capture()
    await using api = await testApi({ ...stores, sessions: { ...stores.sessions, add }, log })
    expect((await admit(api, await minted(api))).status).toBe(404)
    expect(await stores.sessions.list({ limit: 2, state: 'open' })).toEqual([])
    expect(audits().map(({ audit }) => audit)).toEqual(['revoked', 'refused'])
    await stores[Symbol.asyncDispose]()
  })

  test.each([
    [{ ...connect('x'), token: '' }, 'token'],
    [{ ...connect('x'), token: 'x'.repeat(257) }, 'token'],
    [{ ...connect('x'), proxy_id: 'a/b' }, 'proxy_id'],
    [{ ...connect('x'), proxy_id: 'x'.repeat(65) }, 'proxy_id'],
    [{ ...connect('x'), host: '10.0.0.5' }, 'host'],
    [{ token: 'x' }, 'proxy_id'],
    [[], 'object'],
  ])('refuses %j', async (body, word) => {
    await using api = await testApi()
    const { status, fault } = await api.call('POST', SESSIONS, { as: 'service', body })
    expect({ status, message: fault?.message }).toEqual({ status: 400, message: expect.stringContaining(word) })
  })
})

describe('resuming a session', () => {
  const resume = (api: TestApi, session_id: string, as: Caller = 'service') =>
    api.call('POST', SESSIONS, {
      as,
      body: { resume: { session_id }, proxy_id: 'proxy-2', client_address: '10.0.0.10' },
    })
  const lost = async (api: TestApi) => {
    const id = await admitted(api)
    await api.deps.sessions.end(id, 'client_lost')
    await api.deps.tokens.revokeServer(SERVER_ID)
    return id
  }

  test('returns the present console without the token, and adds a session of the same user', async () => {
    const source = fakeSource()
    const { log, audits } = capture()
    await using api = await testApi({ source, log })
    const id = await lost(api)
    Object.assign(source, { console: async () => ({ ...address, host: '10.0.0.6', port: 5999 }) })
    const { status, body } = await resume(api, id)
    expect(status).toBe(200)
    const { session } = body as { session: { id: string; console: object } }
    expect(session.console).toEqual({
      ...{ instance_uuid: SERVER_ID, instance_name: 'web-1', project_id: PROJECT, user_id: 'alice' },
      ...{ protocol: 'vnc', type: 'novnc', host: '10.0.0.6', port: 5999 },
      ...{ tls_port: address.tlsPort, internal_access_path: address.internalAccessPath },
      base_url: 'http://127.0.0.1:6080/vnc_lite.html',
      ...{ role: 'control', label: null, may_invite: true },
    })
    expect(session.id).not.toBe(id)
    expect(await api.deps.sessions.find(session.id)).toMatchObject({
      ...{ userId: 'alice', projectId: PROJECT, serverId: SERVER_ID, type: 'novnc', proxyId: 'proxy-2' },
      clientAddress: '10.0.0.10',
    })
    expect(audits().at(-1)).toMatchObject({ audit: 'admitted', session: session.id, resumes: id })
  })

  test('returns the password of the console again', async () => {
    const console = async () => ({ ...address, password: new Secret('pw-of-the-console') })
    await using api = await testApi({ source: fakeSource(undefined, { console }) })
    const { body } = await resume(api, await admitted(api))
    expect(body).toMatchObject({ session: { console: { password: 'pw-of-the-console' } } })
  })

  test('lets a session be resumed more than once, and its continuations as well', async () => {
    await using api = await testApi()
    const id = await lost(api)
    const { body } = await resume(api, id)
    expect((await resume(api, id)).status).toBe(200)
    expect((await resume(api, (body as { session: { id: string } }).session.id)).status).toBe(200)
  })

  test.each<[string, (api: TestApi, id: string) => Promise<unknown>]>([
    ['its tokens were revoked while its client was away', (api) => api.call('DELETE', revocation(), { as: 'member' })],
    ['it was ended while its client was away', (api, id) => api.call('DELETE', `${SESSIONS}/${id}`)],
    [
      'its continuation was ended',
      async (api, id) => {
        const { body } = await resume(api, id)
        await api.call('DELETE', `${SESSIONS}/${(body as { session: { id: string } }).session.id}`)
      },
    ],
  ])('refuses a session like an unknown token if %s', async (_, end) => {
    const { log, audits } = capture()
    await using api = await testApi({ log })
    const id = await lost(api)
    await end(api, id)
    expect(await resume(api, id)).toMatchObject({ status: 404, fault: { key: 'itemNotFound' } })
    expect(audits().at(-1)).toMatchObject({ audit: 'refused', reason: 'unknown_token', resumes: id })
  })

  test.each<[string, Partial<Source>]>([
    ['the server is gone', { find: async () => undefined }],
    ['the server is deleted', { find: async () => server({ vmState: 'deleted' }) }],
    ['the server has another owner', { find: async () => server({ projectId: OTHER_PROJECT }) }],
    ['the console is gone', { console: async () => Promise.reject(new SourceError('ConsoleNotAvailable')) }],
  ])('refuses a session like an unknown token while %s', async (_, then) => {
    const source = fakeSource()
    await using api = await testApi({ source })
    const id = await lost(api)
    Object.assign(source, then)
    expect(await resume(api, id)).toMatchObject({ status: 404, fault: { key: 'itemNotFound' } })
    expect(await api.deps.sessions.list({ limit: 2 })).toHaveLength(1)
  })

  test('refuses a session that is revoked during the query of the source', async () => {
    const stores = await openStores('sqlite::memory:')
    let { add } = stores.sessions
    await using api = await testApi({ ...stores, sessions: { ...stores.sessions, add: (...of) => add(...of) } })
    const id = await lost(api)
    add = async (session, resumes) => {
      await api.call('DELETE', revocation(), { as: 'member' })
      return stores.sessions.add(session, resumes)
    }
    expect((await resume(api, id)).status).toBe(404)
    expect(await stores.sessions.list({ limit: 2, state: 'open' })).toEqual([])
    await stores[Symbol.asyncDispose]()
  })

  test('is for proxies only, with either a token or a session', async () => {
    await using api = await testApi()
    const id = await lost(api)
    expect((await resume(api, id, 'member')).status).toBe(403)
    for (const body of [
      { ...connect('x'), resume: { session_id: id } },
      { ...connect('x'), token: undefined, resume: id },
    ])
      expect((await api.call('POST', SESSIONS, { as: 'service', body })).status).toBe(400)
  })
})

describe('beats', () => {
  test('report counts and ends, and return the sessions to close', async () => {
    await using api = await testApi({ toml: 'sessions.beat_seconds = 7' })
    const [one, other] = [await admitted(api), await admitted(api)]
    expect((await api.call('DELETE', `${SESSIONS}/${one}`)).status).toBe(202)
    const counted = (id: string) => ({ id, bytes_to_client: 3, bytes_to_console: 4 })
    const open = [counted(one), counted(other)]
    expect((await beat(api, { open, ended: [] })).body).toEqual({
      beat_seconds: 7,
      end: [{ id: one, reason: 'ended' }],
      takes_control: true,
    })
    const ended = [{ ...counted(one), ended_at: new Date().toISOString(), reason: 'ended' }]
    expect((await beat(api, { open: [counted(other)], ended })).body).toMatchObject({ end: [] })
    expect((await api.call('DELETE', `${SESSIONS}/${one}`)).status).toBe(204)
    const { body } = await api.call('GET', `${SESSIONS}?state=ended`)
    expect(body).toMatchObject({
      sessions: [{ id: one, end_reason: 'ended', bytes_to_client: 3, bytes_to_console: 4 }],
    })
  })

  test.each([
    [{ open: [] }, "'ended' is a required property"],
    [{ open: {}, ended: [] }, 'open: must be an array'],
    [{ open: [{ id: 'a', bytes_to_client: -1, bytes_to_console: 0 }], ended: [] }, 'open.0.bytes_to_client'],
    [
      { open: [], ended: [{ id: 'a', bytes_to_client: 0, bytes_to_console: 0, ended_at: 'now', reason: 'ended' }] },
      'ended_at',
    ],
    [
      {
        open: [],
        ended: [
          { id: 'a', bytes_to_client: 0, bytes_to_console: 0, ended_at: '2026-99-99T00:00:00Z', reason: 'ended' },
        ],
      },
      'ended_at',
    ],
    [
      {
        open: [],
        ended: [
          { id: 'a', bytes_to_client: 0, bytes_to_console: 0, ended_at: '2026-01-01T00:00:00Z', reason: 'not a name' },
        ],
      },
      'reason',
    ],
  ])('are refused if malformed: %j', async (body, word) => {
    await using api = await testApi()
    const { status, fault } = await beat(api, body)
    expect({ status, message: fault?.message }).toEqual({ status: 400, message: expect.stringContaining(word) })
  })

  test.each(['a%20b', 'x'.repeat(65), '%27'])('are refused for the proxy_id %s', async (id) => {
    await using api = await testApi()
    expect((await api.call('PUT', proxyPath(id), { as: 'service', body: { open: [], ended: [] } })).status).toBe(400)
  })

  test('may be longer than other bodies, if the caller may send beats', async () => {
    await using api = await testApi()
    const open = Array.from({ length: 2000 }, () => ({ id: randomUUID(), bytes_to_client: 0, bytes_to_console: 0 }))
    expect(JSON.stringify(open).length).toBeGreaterThan(114_688)
    expect((await beat(api, { open, ended: [] })).status).toBe(200)
    const raw = JSON.stringify({ open, ended: [] })
    expect((await api.call('PUT', proxyPath(), { as: 'member', raw })).status).toBe(403)
    expect((await api.call('POST', SESSIONS, { as: 'service', raw })).status).toBe(413)
    const forever = { 'Content-Length': String(40 * 1024 * 1024) }
    expect((await api.call('PUT', proxyPath(), { as: 'service', raw: '{}', headers: forever })).status).toBe(413)
  })
})

describe('the id of a proxy', () => {
  const forged = (id: string) => ({
    ...{ id, bytes_to_client: 1e300, bytes_to_console: 5 },
    ...{ ended_at: '1970-01-01T00:00:00Z', reason: 'idle' },
  })

  test('belongs to the credential that used it first, so that another service can neither report nor admit with it', async () => {
    const { log, audits } = capture()
    await using api = await testApi({ log })
    const id = await admitted(api)
    const body = { open: [], ended: [forged(id)] }
    const refusal = { status: 403, fault: { key: 'forbidden', message: expect.stringContaining('authority.proxy_id') } }
    expect(await api.call('PUT', proxyPath(), { as: 'otherService', body })).toMatchObject(refusal)
    expect(await admit(api, await minted(api), 'otherService')).toMatchObject(refusal)
    expect(await api.deps.sessions.find(id)).toMatchObject({ endedAt: null, bytesToConsole: 0 })
    expect(audits().map(({ audit }) => audit)).toEqual(['admitted'])
    expect((await beat(api)).status).toBe(200)
    expect((await api.call('PUT', proxyPath('proxy-2'), { as: 'otherService', body })).status).toBe(200)
    expect(await api.deps.sessions.find(id)).toMatchObject({ endedAt: null })
  })

  test('accepts any reported end, and clamps its time and counts to possible values', async () => {
    await using api = await testApi()
    const id = await admitted(api)
    expect((await beat(api, { open: [], ended: [forged(id)] })).status).toBe(200)
    const session = (await api.deps.sessions.find(id))!
    expect(session).toMatchObject({ endReason: 'idle', bytesToClient: Number.MAX_SAFE_INTEGER, bytesToConsole: 5 })
    expect(session.endedAt).toBe(session.startedAt)
  })

  test('closes a session that its proxy still reports after its recorded end, with the next beat', async () => {
    await using api = await testApi()
    const id = await admitted(api)
    await api.deps.sessions.end(id, 'client_closed')
    const { body } = await beat(api, { open: [{ id, bytes_to_client: 0, bytes_to_console: 0 }], ended: [] })
    expect(body).toMatchObject({ end: [{ id, reason: 'ended' }] })
  })
})

describe('policy', () => {
  const callers = ['member', 'reader', 'norole', 'admin', 'service', 'stranger', 'unscoped'] as const
  type Statuses = Record<(typeof callers)[number], number>
  const matrix: readonly [
    string,
    (api: TestApi, as: Caller, session: string) => Promise<{ status: number }>,
    Statuses,
  ][] = [
    [
      'admit',
      async (api, as) => {
        const body = { ...connect(await minted(api)), proxy_id: `of-${as}` }
        return api.call('POST', SESSIONS, { as, body })
      },
      { ...all(403), admin: 200, service: 200 },
    ],
    [
      'beat',
      (api, as) => api.call('PUT', proxyPath(`of-${as}`), { as, body: { open: [], ended: [] } }),
      { ...all(403), admin: 200, service: 200 },
    ],
    ['list', (api, as) => api.call('GET', SESSIONS, { as }), { ...all(200), norole: 403, service: 403, unscoped: 403 }],
    [
      'end',
      (api, as, id) => api.call('DELETE', `${SESSIONS}/${id}`, { as }),
      { ...all(403), member: 202, admin: 202, stranger: 404 },
    ],
    [
      'revoke',
      (api, as) => api.call('DELETE', revocation(), { as }),
      { ...all(403), member: 202, admin: 202, stranger: 404 },
    ],
  ]

  function all(status: number): Statuses {
    return Object.fromEntries(callers.map((caller) => [caller, status])) as Statuses
  }

  test.each(matrix)('CVE-2020-11997 role by project: %s', async (_, attempt, statuses) => {
    const seen = { ...all(0) }
    for (const caller of callers) {
      await using api = await testApi()
      const session = await admitted(api)
      seen[caller] = (await attempt(api, caller, session)).status
    }
    expect(seen).toEqual(statuses)
  })

  test('refuses requests without a token on every path of the extension', async () => {
    await using api = await testApi()
    for (const path of [SESSIONS, revocation(), proxyPath(), '/oriel/v1/', '/oriel/v1/nothing']) {
      expect((await api.call('GET', path, { as: 'nobody' as Caller })).status).toBe(401)
    }
  })

  test('follows a configuration that grants rules to other roles', async () => {
    await using api = await testApi({ toml: '[policy]\n"oriel:sessions:list" = ["auditor"]' })
    expect((await api.call('GET', SESSIONS, { as: 'admin' })).status).toBe(403)
  })
})

describe('listing', () => {
  test('shows the caller’s project, or all for callers who see all, page by page', async () => {
    await using api = await testApi()
    const { sessions } = api.deps
    for (const projectId of [PROJECT, OTHER_PROJECT, PROJECT]) await sessions.add(newSession({ projectId }))
    const list = async (as: Caller, query = '') => {
      const { body } = await api.call('GET', `${SESSIONS}${query}`, { as })
      return (body as { sessions: { id: string; project_id: string }[] }).sessions
    }
    expect((await list('member')).map(({ project_id }) => project_id)).toEqual([PROJECT, PROJECT])
    expect(await list('admin')).toHaveLength(3)
    expect(await list('admin', `?project_id=${PROJECT}`)).toHaveLength(2)
    expect(await list('member', `?project_id=${OTHER_PROJECT}`)).toEqual([])
    const [first, second] = await list('member')
    expect(await list('member', '?limit=1')).toEqual([first])
    expect(await list('member', `?limit=1&marker=${first!.id}`)).toEqual([second])
    expect(await list('member', '?limit=0')).toEqual([])
  })

  test.each(['state=paused', 'limit=-1', 'limit=x', 'marker=none', 'sort=age'])('refuses ?%s', async (query) => {
    await using api = await testApi()
    expect((await api.call('GET', `${SESSIONS}?${query}`)).status).toBe(400)
  })

  test('refuses a marker of another project like an unknown one', async () => {
    await using api = await testApi()
    const { id } = await api.deps.sessions.add(newSession({ projectId: OTHER_PROJECT }))
    const [foreign, none] = [id, randomUUID()]
    for (const marker of [foreign, none]) {
      expect((await api.call('GET', `${SESSIONS}?marker=${marker}`)).fault?.message).toBe(
        `marker [${marker}] not found`,
      )
    }
  })
})

describe('routing', () => {
  test('terminate by GET: accepts only the method of a route', async () => {
    await using api = await testApi()
    const id = await admitted(api)
    for (const { method, path } of Object.values(extensionRoutes)) {
      const url = `/oriel/v1${path}`
        .replace('{session_id}', id)
        .replace('{server_id}', SERVER_ID)
        .replace('{proxy_id}', 'p')
      for (const other of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((each) => each !== method)) {
        const taken = Object.values(extensionRoutes).some((route) => route.path === path && route.method === other)
        if (!taken) expect((await api.call(other, url, { as: 'admin' })).status).toBe(404)
      }
    }
    expect((await api.deps.sessions.find(id))?.endWanted).toBeNull()
  })

  test('responds 503 while the store is unavailable', async () => {
    const stores = await openStores('sqlite::memory:')
    const away = async () => Promise.reject(new StoreUnavailable('away'))
    await using api = await testApi({ ...stores, sessions: { ...stores.sessions, list: away } })
    const { status, headers } = await api.call('GET', SESSIONS)
    expect({ status, retry: headers.get('Retry-After') }).toEqual({ status: 503, retry: '5' })
    await stores[Symbol.asyncDispose]()
  })
})

describe('the audit trail', () => {
  test('has a record for each step, with caller and session and without credentials', async () => {
    const { log, audits, lines } = capture()
    await using api = await testApi({ log })
    const token = await minted(api)
    const { body } = await admit(api, token)
    const { id } = (body as { session: { id: string } }).session
    await admit(api, 'unknown-token')
    await api.call('DELETE', `${SESSIONS}/${id}`)
    const ended = { id, bytes_to_client: 1, bytes_to_console: 2, ended_at: new Date().toISOString(), reason: 'ended' }
    for (let i = 0; i < 2; i++) await beat(api, { open: [], ended: [ended] })
    const who = {
      ...{ userId: 'alice', projectId: PROJECT, serverId: SERVER_ID, serverName: 'web-1', type: 'novnc' },
      ...{ session: id, clientAddress: '10.0.0.9', proxyId: 'proxy-1' },
    }
    expect(audits()).toMatchObject([
      { audit: 'admitted', ...who },
      { audit: 'refused', clientAddress: '10.0.0.9', proxyId: 'proxy-1', reason: 'unknown_token' },
      { audit: 'end-wanted', ...who, by: 'alice', reason: 'ended' },
      { audit: 'ended', ...who, reason: 'ended', bytesToClient: 1, bytesToConsole: 2, durationMs: expect.any(Number) },
    ])
    for (const secret of [token, 'unknown-token']) expect(lines.join('')).not.toContain(secret)
  })
})

describe('the keeper', () => {
  const options = { beatSeconds: 5, retentionDays: 1, log: silentLogger() }

  test('considers a proxy lost only after three beats in which API and store were available', async () => {
    let now = 0
    let away = false
    const asked: number[] = []
    const stores = await openStores('sqlite::memory:')
    const answer = async <T>(value: T) => (away ? Promise.reject(new StoreUnavailable('away')) : value)
    const look = createKeeper(
      {
        ...stores.sessions,
        check: () => answer(undefined),
        endLost: (silentMs) => {
          if (!away) asked.push(silentMs)
          return answer([])
        },
      },
      { ...options, now: () => now },
    )
    const lookAt = async (seconds: number) => {
      now = seconds * 1000
      const before = asked.length
      await look()
      return asked.length > before
    }
    expect([await lookAt(0), await lookAt(5), await lookAt(10)]).toEqual([false, false, false])
    expect(await lookAt(15)).toBe(true)
    expect(asked).toEqual([15_000])
    away = true
    expect(await lookAt(20)).toBe(false)
    away = false
    expect([await lookAt(25), await lookAt(30), await lookAt(34), await lookAt(35)]).toEqual([
      false,
      false,
      false,
      true,
    ])
    // Asleep for a minute, such as with its machine.
    expect([await lookAt(95), await lookAt(100), await lookAt(110)]).toEqual([false, false, true])
    await stores[Symbol.asyncDispose]()
  })

  test('warns of an outage once, not at every beat', async () => {
    await using stores = await openStores('sqlite::memory:')
    let away = true
    const check = () => (away ? Promise.reject(new StoreUnavailable('away')) : Promise.resolve())
    const lines: string[] = []
    const log = createLogger({ name: 'test', destination: { write: (line) => void lines.push(line) } })
    const look = createKeeper({ ...stores.sessions, check }, { ...options, log, now: () => 0 })
    for (away of [true, true, true, false, true]) await look()
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(Array(2).fill('lost sessions could not be looked for'))
  })

  test('deletes records after retention_days', async () => {
    let now = 0
    const ages: number[] = []
    const stores = await openStores('sqlite::memory:')
    const forget = async (ageMs: number) => ages.push(ageMs)
    const look = createKeeper({ ...stores.sessions, forget }, { ...options, now: () => now })
    for (now of [0, 5_000, 3_600_000, 3_605_000]) await look()
    expect(ages).toEqual([86_400_000, 86_400_000])
    await stores[Symbol.asyncDispose]()
  })
})
