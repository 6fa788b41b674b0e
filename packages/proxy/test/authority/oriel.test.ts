/** The authority `oriel` with a scripted API: its requests, its reports, and the ends that it must not lose. */
import { createCipheriv } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json, text } from 'node:stream/consumers'
import { inspect } from 'node:util'
import type { AdmittedConsole, ExtensionBody } from '@oriel/contract'
import { Secret } from '@oriel/runtime'
import { staticToken } from '@oriel/sdk'
import { defaultTimeoutMs, scriptedServer } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { Ledger } from '../../src/authority/ledger.ts'
import { createProxy, orielAuthority, type SessionRecord } from '../../src/index.ts'
import type { Ending } from '../../src/session/ending.ts'
import { capture, configOf, dial, INSTANCE, OTHER_TOKEN, open, shakeThen, TOKEN, upgrade } from '../fixture.ts'

type Beat = ExtensionBody<'beat'>
const SERVICE = 'service-token-of-the-test'

const consoleAt = (changes: Partial<AdmittedConsole> = {}): AdmittedConsole => ({
  ...{
    instance_uuid: INSTANCE,
    instance_name: 'web',
    project_id: 'p',
    user_id: 'alice',
    protocol: 'vnc',
    type: 'novnc',
  },
  ...{ host: '127.0.0.1', port: 1, tls_port: null, internal_access_path: null },
  ...{ base_url: 'http://127.0.0.1:6080/vnc_lite.html', expires_at: '2099-01-01T00:00:00.000Z' },
  ...changes,
})

/** An API that admits every token, unless the test configures another answer. */
async function playApi(console: AdmittedConsole) {
  const api = {
    beats: [] as Beat[],
    admissions: [] as ExtensionBody<'admitSession'>[],
    tokens: new Set<string | undefined>(),
    roles: new Set<unknown>(),
    end: [] as { id: string; reason: string }[],
    beatSeconds: 1,
    /** The answer to where the console of session s1 is. */
    location: undefined as object | undefined,
    follows: 0,
    /** Replaces the response to whether session s1 may go on there. */
    following: undefined as ((response: ServerResponse) => void) | undefined,
    /** Replaces the response to a connect or a beat. */
    admitting: undefined as ((response: ServerResponse) => void) | undefined,
    beating: undefined as ((response: ServerResponse) => void) | undefined,
  }
  let news = Promise.withResolvers<void>()
  const answer = (response: ServerResponse, body: object) =>
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
  const server = createServer(async (request, response) => {
    const sent = await text(request)
    const body = (sent === '' ? undefined : JSON.parse(sent)) as never
    api.tokens.add(request.headers['x-auth-token'] as string | undefined)
    if (request.url === '/oriel/v1/sessions') {
      api.admissions.push(body)
      api.roles.add(request.headers['oriel-console-roles'])
      if (api.admitting) api.admitting(response)
      else answer(response, { session: { id: `s${api.admissions.length}`, console } })
    } else if (request.url === '/oriel/v1/sessions/s1/console') {
      if (request.method === 'POST') api.follows += 1
      if (request.method === 'POST' && api.following) api.following(response)
      else answer(response, { console: api.location })
    } else if (request.url === '/oriel/v1/proxies/one') {
      if (api.beating) api.beating(response)
      else {
        api.beats.push(body)
        answer(response, { beat_seconds: api.beatSeconds, end: api.end })
      }
    } else if (request.url === '/oriel/v1/proxies/one/ports') {
      // As an older API, which does not know ports.
      fault(404, 'itemNotFound')(response)
    } else response.writeHead(404).end()
    news.resolve()
    news = Promise.withResolvers()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(api, {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Returns the first past or future beat that `fits`. */
    async beat(fits: (beat: Beat) => boolean): Promise<Beat> {
      for (;;) {
        const found = api.beats.find(fits)
        if (found) return found
        await news.promise
      }
    },
    request: () => news.promise,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  })
}
type Api = Awaited<ReturnType<typeof playApi>>

/** Sixteen zeros under a VNC password of eight bytes, whose bits are reversed. */
function desOf(password: string): Buffer {
  const key = Buffer.from(password).map((byte) =>
    Number.parseInt(byte.toString(2).padStart(8, '0').split('').reverse().join(''), 2),
  )
  const cipher = createCipheriv('des-ede3-ecb', Buffer.concat([key, key, key]), null).setAutoPadding(false)
  return Buffer.concat([cipher.update(Buffer.alloc(16)), cipher.final()])
}

/** Returns the beat with an ended session: the last one before a stop, or a regular one shortly before. */
const endedIn = ({ beats }: Api) => beats.find(({ ended }) => ended.length > 0)

const fault = (status: number, key?: string) => (response: ServerResponse) =>
  void response.writeHead(status).end(JSON.stringify(key ? { [key]: { code: status, message: 'No.' } } : {}))

const authorityOf = (api: Api, log = capture().logger) =>
  orielAuthority({ endpoint: api.origin, auth: staticToken(SERVICE), timeoutMs: defaultTimeoutMs, proxyId: 'one', log })
const admit = (authority: ReturnType<typeof authorityOf>, signal = new AbortController().signal, token = TOKEN) =>
  authority.admit(new Secret(token), { address: '10.0.0.9' }, signal)

/** A proxy with an API and a hypervisor that serves every connection. */
async function running(toml = '', changes: Partial<AdmittedConsole> = {}, consoles = ['novnc']) {
  await using scope = new AsyncDisposableStack()
  const hypervisor = scope.use(
    await scriptedServer((peer) => shakeThen(peer, () => peer.closed({ timeoutMs: 60_000 }))),
  )
  const api = scope.use(await playApi(consoleAt({ host: hypervisor.host, port: hypervisor.port, ...changes })))
  const log = capture()
  const authority = authorityOf(api, log.logger)
  const proxy = scope.use(
    await createProxy({ config: configOf(api.origin, toml, '127.0.0.1:0', consoles), authority, log: log.logger }),
  )
  const rest = scope.move()
  const { address } = proxy.listeners[0]!
  return { api, proxy, address, hypervisor, log, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

describe('the admission by oriel-api', () => {
  it('returns the password of the console as a secret, and none for an empty one', async () => {
    await using api = await playApi(consoleAt({ password: 'correct horse' }))
    await using authority = authorityOf(api)
    const admission = await admit(authority)
    expect(admission.password?.reveal()).toBe('correct horse')
    expect(inspect(admission, { depth: 9 }) + JSON.stringify(admission)).not.toContain('correct horse')
    for (const changes of [{}, { password: '' }]) {
      await using other = await playApi(consoleAt(changes))
      await using another = authorityOf(other)
      expect((await admit(another)).password).toBeUndefined()
    }
  })

  it('opens the console with its own password rather than the configured one, and prints neither', async () => {
    const vnc = '[hypervisor]\nvnc = { auth_schemes = ["vnc_auth"], password = "configured" }'
    for (const [changes, response] of [
      [{ password: 'of-the-guest' }, desOf('of-the-g')],
      [{}, desOf('configur')],
    ] as const) {
      const answered = Promise.withResolvers<Buffer>()
      await using hypervisor = await scriptedServer(async (peer) => {
        await peer.send(Buffer.from('RFB 003.008\n'))
        await peer.read(12)
        await peer.send(Buffer.of(1, 2))
        await peer.read(1)
        await peer.send(Buffer.alloc(16))
        answered.resolve(await peer.read(16))
        await peer.send(Buffer.alloc(4))
        await peer.closed({ timeoutMs: 60_000 })
      })
      const { host, port } = hypervisor
      await using run = await running(vnc, { host, port, ...changes })
      using _client = await open(run.address)
      expect(await answered.promise).toEqual(response)
      const shown = run.log.text() + JSON.stringify(run.proxy.sessions())
      expect(shown).toContain('session opened')
      for (const password of ['of-the-guest', 'configured']) expect(shown).not.toContain(password)
    }
  })

  it('returns a Unix socket, which it may dial only if the operator has listed it', async () => {
    await using api = await playApi(consoleAt({ host: 'unix:/run/oriel/web-1.sock', port: null }))
    await using authority = authorityOf(api)
    const admission = await admit(authority)
    expect(admission).toMatchObject({ host: 'unix:/run/oriel/web-1.sock', port: 0 })
    await expect(admission.socket!.find()).rejects.toThrow(/ENOENT|is not listed in hypervisor.unix_sockets/)
  })

  it.each(['unix:web-1.sock', 'unix:/run/../a.sock', 'vsock:3', 'unix:'])(
    'refuses the host %s, whose form it does not know',
    async (host) => {
      await using api = await playApi(consoleAt({ host, port: null }))
      await using authority = authorityOf(api)
      await expect(admit(authority)).rejects.toMatchObject({
        refusal: 'console_unreachable',
        message: expect.stringContaining(host),
      })
    },
  )

  it('sends its own credential and returns all members of the response', async () => {
    await using api = await playApi(consoleAt({ host: '10.0.0.5', port: 5901 }))
    await using authority = authorityOf(api)
    expect(await admit(authority)).toMatchObject({
      ...{ instance: INSTANCE, host: '10.0.0.5', port: 5901, type: 'novnc', expiresAt: new Date('2099-01-01') },
      ...{ baseUrl: 'http://127.0.0.1:6080/vnc_lite.html', record: { id: 's1' } },
    })
    expect(api.admissions).toEqual([{ token: TOKEN, proxy_id: 'one', client_address: '10.0.0.9' }])
    expect([...api.tokens]).toEqual([SERVICE])
  })

  it('lists the roles that the proxy enforces in the request, and returns the role of the token', async () => {
    await using api = await playApi(
      consoleAt({ role: 'watch', label: 'Bob', single_use: true, invited: true, may_invite: true }),
    )
    await using authority = authorityOf(api)
    expect(await admit(authority)).toMatchObject({
      role: 'watch',
      label: 'Bob',
      singleUse: true,
      invited: true,
      inviter: 'one',
    })
    expect([...api.roles]).toEqual(['control, watch'])
  })

  it('takes the role of an API that returns none for control', async () => {
    await using api = await playApi(consoleAt())
    await using authority = authorityOf(api)
    const admission = await admit(authority)
    expect(admission.role).toBe('control')
    for (const member of ['label', 'singleUse', 'invited', 'inviter']) expect(admission).not.toHaveProperty(member)
  })

  it('resumes a session by its id, and records the new one', async () => {
    const { expires_at: _, ...console } = consoleAt({ host: '10.0.0.5', port: 5901 })
    await using api = await playApi(console)
    await using authority = authorityOf(api)
    const grant = { sessionId: 's0', type: 'novnc' as const, role: 'control' as const, instance: INSTANCE }
    const more = { tokenDigest: 'd', handle: 'h', openedAt: 0 }
    const signal = new AbortController().signal
    const admission = await authority.resume!({ ...grant, ...more }, { address: '10.0.0.9' }, signal)
    expect(admission).toMatchObject({ instance: INSTANCE, host: '10.0.0.5', port: 5901, record: { id: 's1' } })
    expect(admission.expiresAt).toBeUndefined()
    expect(api.admissions).toEqual([{ resume: { session_id: 's0' }, proxy_id: 'one', client_address: '10.0.0.9' }])
    expect(authority.resumesByToken).toBeUndefined()
  })

  it.each([
    [404, 'itemNotFound', 'unknown_token'],
    [404, undefined, 'authority_unavailable'],
    [409, 'conflictingRequest', 'console_moved'],
    [409, undefined, 'authority_unavailable'],
    [401, 'unauthorized', 'authority_unavailable'],
    [403, 'forbidden', 'authority_unavailable'],
    [500, 'computeFault', 'authority_unavailable'],
    [503, 'serviceUnavailable', 'authority_unavailable'],
  ])('converts status %i with the fault %s to %s', async (status, key, refusal) => {
    await using api = await playApi(consoleAt())
    api.admitting = fault(status, key)
    await using authority = authorityOf(api)
    await expect(admit(authority)).rejects.toMatchObject({ name: 'Refused', refusal })
  })

  it.each<Partial<AdmittedConsole>>([
    { host: 'a b' },
    { port: 0 },
    { port: null },
    { type: 'xvpvnc' },
    { protocol: 'serial' },
    { role: 'own' as 'watch' },
    { base_url: 'nowhere' },
  ])('refuses and reports an invalid console: %j', async (changes) => {
    await using api = await playApi(consoleAt(changes))
    await using authority = authorityOf(api)
    await expect(admit(authority)).rejects.toMatchObject({ refusal: 'console_unreachable' })
    await authority[Symbol.asyncDispose]()
    expect(endedIn(api)).toMatchObject({ open: [], ended: [{ id: 's1', reason: 'console_unreachable' }] })
  })

  it('reports a session whose client disconnected during the look-up', async () => {
    await using api = await playApi(consoleAt())
    const waiting = Promise.withResolvers<ServerResponse>()
    api.admitting = waiting.resolve
    await using authority = authorityOf(api)
    const left = new AbortController()
    const admitting = admit(authority, left.signal)
    const response = await waiting.promise
    left.abort(new Error('left'))
    await expect(admitting).rejects.toThrow('left')
    response.writeHead(200).end(JSON.stringify({ session: { id: 's9', console: consoleAt() } }))
    const { ended } = await api.beat((beat) => beat.ended.length > 0)
    expect(ended).toMatchObject([{ id: 's9', reason: 'client_lost' }])
  })

  it('stops calling an unavailable API, and is not ready', async () => {
    await using api = await playApi(consoleAt())
    await using authority = authorityOf(api)
    await authority.health.check()
    api.admitting = fault(503, 'serviceUnavailable')
    for (let i = 0; i < 7; i++)
      await expect(admit(authority)).rejects.toMatchObject({ refusal: 'authority_unavailable' })
    expect(api.admissions).toHaveLength(5)
    await expect(authority.health.check()).rejects.toThrow('the last 5 calls failed')
  })

  it('keeps calling an API that refuses tokens', async () => {
    await using api = await playApi(consoleAt())
    await using authority = authorityOf(api)
    api.admitting = fault(404, 'itemNotFound')
    for (let i = 0; i < 7; i++) await expect(admit(authority)).rejects.toMatchObject({ refusal: 'unknown_token' })
    await authority.health.check()
  })
})

describe('finding a console again with oriel-api', () => {
  it.each([
    [{ moving: true, address: null }, { is: 'moving' }],
    [{ moving: false, address: null }, { is: 'gone' }],
    [{ moving: false, address: null, off: true }, { is: 'off' }],
    [
      { moving: false, address: { host: '10.0.0.6', port: 5907 } },
      { is: 'at', host: '10.0.0.6', port: 5907 },
    ],
  ])('converts %j', async (location, where) => {
    await using api = await playApi(consoleAt())
    api.location = location
    await using authority = authorityOf(api)
    const lost = { instance: INSTANCE, type: 'serial', sessionId: 's1' } as const
    const { signal } = new AbortController()
    expect(await authority.locate!(lost, signal)).toEqual(where)
    expect(await authority.follow!(lost, signal)).toEqual(where)
  })

  it('rejects if the session may not go on', async () => {
    await using api = await playApi(consoleAt())
    api.following = fault(404, 'itemNotFound')
    await using authority = authorityOf(api)
    const lost = { instance: INSTANCE, type: 'serial', sessionId: 's1' } as const
    await expect(authority.follow!(lost, new AbortController().signal)).rejects.toMatchObject({ status: 404 })
  })

  it('dials a Unix socket only if the operator has listed it', async () => {
    await using api = await playApi(consoleAt())
    api.location = { moving: false, address: { host: 'unix:/run/oriel/web-1.sock', port: null } }
    await using authority = authorityOf(api)
    const lost = { instance: INSTANCE, type: 'serial', sessionId: 's1' } as const
    const where = await authority.locate!(lost, new AbortController().signal)
    expect(where).toMatchObject({ is: 'at', host: 'unix:/run/oriel/web-1.sock', port: 0 })
    await expect(where.is === 'at' && where.socket!.find()).rejects.toThrow(/ENOENT|is not listed/)
  })

  it.each(['a b', 'unix:web-1.sock'])('rejects the address %j, which no console has', async (host) => {
    await using api = await playApi(consoleAt())
    api.location = { moving: false, address: { host, port: 1 } }
    await using authority = authorityOf(api)
    const lost = { instance: INSTANCE, type: 'serial', sessionId: 's1' } as const
    await expect(authority.locate!(lost, new AbortController().signal)).rejects.toThrow(host)
  })
})

describe('a proxy with the authority oriel', () => {
  it('reports a session with its bytes from its admission until its end is acknowledged', async () => {
    await using run = await running()
    {
      using _client = await open(run.address)
      const { open: told } = await run.api.beat((beat) => beat.open.length > 0)
      expect(told).toEqual([{ id: 's1', bytes_to_client: 0, bytes_to_console: 0 }])
      expect(run.proxy.sessions().map(({ id }) => id)).toEqual(['s1'])
    }
    const { open: rest, ended } = await run.api.beat((beat) => beat.ended.length > 0)
    expect({ rest, ended }).toMatchObject({ rest: [], ended: [{ id: 's1', reason: 'client_lost' }] })
    const index = run.api.beats.findIndex((beat) => beat.ended.length > 0)
    while (run.api.beats.length <= index + 1) await run.api.request()
    expect(run.api.beats[index + 1]).toEqual({ open: [], ended: [] })
    expect(run.log.records('session ended')).toMatchObject([{ session: 's1' }])
  })

  it.each([
    ['ended', 4008],
    ['revoked', 4007],
  ])('ends a session that the API lists as %s', async (reason, code) => {
    await using run = await running()
    using client = await open(run.address)
    run.api.end = [
      { id: 's1', reason },
      { id: 'unknown', reason: 'ended' },
    ]
    expect(await client.closed()).toMatchObject({ code })
    expect((await run.api.beat((beat) => beat.ended.length > 0)).ended).toMatchObject([{ id: 's1', reason }])
  })

  it('checks where a serial console is if the API lists it as moved, and keeps the session if it may go on', async () => {
    await using console = await scriptedServer((peer) => peer.closed({ timeoutMs: 60_000 }))
    const { host, port } = console
    await using run = await running('', { type: 'serial', protocol: 'serial', host, port }, ['serial'])
    using client = await dial(run.address)
    run.api.location = { moving: false, address: { host, port } }
    run.api.end = [{ id: 's1', reason: 'moved' }]
    const beats = run.api.beats.length
    while (run.api.follows === 0 || run.api.beats.length < beats + 2) await run.api.request()
    expect([client.ws.readyState, console.connections]).toEqual([client.ws.OPEN, 1])
    run.api.following = fault(404, 'itemNotFound')
    expect(await client.closed()).toMatchObject({ code: 4011 })
  })

  it('keeps sessions while the API is unavailable, and reports their ends afterwards', async () => {
    await using run = await running()
    using stays = await open(run.address)
    const leaves = await open(run.address, { path: `/?token=${OTHER_TOKEN}` })
    await run.api.beat((beat) => beat.open.length === 2)
    const failed: ServerResponse[] = []
    run.api.beating = (response) => {
      failed.push(response)
      fault(503, 'serviceUnavailable')(response)
    }
    leaves[Symbol.dispose]()
    while (failed.length < 3) await run.api.request()
    expect(stays.ws.readyState).toBe(stays.ws.OPEN)
    expect(run.log.records('sessions cannot be reported to the authority')).toHaveLength(1)
    run.api.beating = undefined
    const { open: told, ended } = await run.api.beat((beat) => beat.ended.length > 0)
    expect({ told, ended }).toMatchObject({ told: [{ id: 's1' }], ended: [{ id: 's2', reason: 'client_lost' }] })
    const again = () => run.log.records('sessions are reported to the authority again')
    while (again().length === 0) await run.api.request()
    expect(again()).toHaveLength(1)
  })

  it('reports at once that a console with a single-use URL was not opened, so that its page may dial again', async () => {
    await using api = await playApi(consoleAt({ single_use: true }))
    api.beatSeconds = 3600
    await using authority = authorityOf(api)
    await api.beat(() => true)
    for (const [id, reason] of [
      ['s1', 'console_unreachable'],
      ['s2', 'client_lost'],
    ] as const) {
      const { record } = await admit(authority)
      record!.ended(reason)
      const { ended } = await api.beat((beat) => beat.ended.some((each) => each.id === id))
      expect(ended).toMatchObject([{ id, reason }])
    }
  })

  it('reports the ends of its sessions when it stops', async () => {
    const run = await running()
    using client = await open(run.address)
    await run.proxy[Symbol.asyncDispose]()
    expect(await client.closed()).toMatchObject({ code: 1001 })
    expect(endedIn(run.api)).toMatchObject({ open: [], ended: [{ id: 's1', reason: 'draining' }] })
    await run[Symbol.asyncDispose]()
  })

  it.each([
    ['wrong_console_type', 403, { type: 'serial', protocol: 'serial' }, ''],
    ['console_unreachable', 502, { port: 9 }, ''],
    ['too_many', 429, {}, '[sessions]\nmax_per_client = 1'],
  ] as const)('reports the refusal of a session: %s', async (reason, status, changes, toml) => {
    await using run = await running(toml, changes)
    using first = reason === 'too_many' ? await open(run.address) : undefined
    expect((await upgrade(run.address)).status).toBe(status)
    const { ended } = await run.api.beat((beat) => beat.ended.length > 0)
    expect(ended).toMatchObject([{ id: first ? 's2' : 's1', reason, bytes_to_client: 0 }])
  })

  it('refuses a page that was loaded over another scheme than the console’s', async () => {
    await using run = await running('', { base_url: 'https://consoles.example/vnc_lite.html' })
    const origin = `Origin: http://${run.address}`
    expect((await upgrade(run.address, `/?token=${TOKEN}`, [origin])).status).toBe(403)
    expect(run.hypervisor.connections).toBe(0)
  })

  it('ends a session when its token expires with enforce_token_expiry', async () => {
    const expires_at = new Date(Date.now() + 3000).toISOString()
    await using run = await running('[sessions]\nenforce_token_expiry = true', { expires_at })
    // The token's expiry counts even if the session opens after it.
    using client = await dial(run.address)
    expect(await client.closed()).toMatchObject({ code: 4006 })
  })

  it('logs no credential', async () => {
    await using run = await running()
    {
      using _client = await open(run.address)
    }
    await run.api.beat((beat) => beat.ended.length > 0)
    for (const secret of [TOKEN, SERVICE]) expect(run.log.text()).not.toContain(secret)
  })
})

describe('the ledger', () => {
  const sessionOf = (bytes: number) => {
    const endings: Ending[] = []
    const view = { bytesToClient: bytes, bytesToConsole: 2 * bytes } as never
    return { endings, view, end: (ending: Ending) => void endings.push(ending) }
  }
  const endAll = (records: readonly SessionRecord[]) => {
    for (const record of records) record.ended('client_closed', new Date(0))
  }

  it('adds up the bytes of all connections of one session', () => {
    const ledger = new Ledger()
    const record = ledger.admitted('a')
    for (const bytes of [1, 10]) record.opened(sessionOf(bytes))
    expect(ledger.report().open).toEqual([{ id: 'a', bytes_to_client: 11, bytes_to_console: 22 }])
  })

  it('ends a session at its opening if its end was requested before', () => {
    const ledger = new Ledger()
    const record = ledger.admitted('a')
    ledger.end([{ id: 'a', reason: 'revoked' }])
    const session = sessionOf(0)
    record.opened(session)
    expect(session.endings).toMatchObject([{ reason: 'revoked' }])
  })

  it('keeps the first end of a session until it is acknowledged', () => {
    const ledger = new Ledger()
    const record = ledger.admitted('a')
    record.ended('too_many', new Date(0))
    record.ended('ended')
    const report = ledger.report()
    expect(report).toMatchObject({ open: [], ended: [{ id: 'a', reason: 'too_many', ended_at: new Date(0).toJSON() }] })
    const late = ledger.admitted('b')
    late.ended('ended')
    ledger.acknowledge(report)
    expect(ledger.report().ended).toMatchObject([{ id: 'b' }])
    ledger.acknowledge(ledger.report())
    expect(ledger.report()).toEqual({ open: [], ended: [] })
  })

  it('limits the ends per report, and drops the oldest beyond a maximum with a log record', () => {
    const dropped: string[] = []
    const ledger = new Ledger({ maxEnded: 3, maxEndedAtOnce: 2, dropped: ({ id }) => dropped.push(id) })
    endAll(['a', 'b', 'c', 'd'].map((id) => ledger.admitted(id)))
    expect(dropped).toEqual(['a'])
    expect(ledger.report().ended.map(({ id }) => id)).toEqual(['b', 'c'])
  })
})

describe('the standing serial ports of the authority', () => {
  const port = { server_id: INSTANCE, server_name: 'web', project_id: 'p', host: '10.0.0.5', port: 4555 }

  /** An API that answers each request for serial ports with the next of `answers`, and records it. */
  async function played(...answers: object[]) {
    const requests: { method: string | undefined; path: string | undefined; body: unknown }[] = []
    const server = createServer(async (request, response) => {
      if (!request.url?.includes('/serial-ports')) return void response.writeHead(404).end()
      const body = request.method?.startsWith('P') ? await json(request) : undefined
      requests.push({ method: request.method, path: request.url.replace('/oriel/v1/proxies/one', ''), body })
      if (request.method === 'DELETE' || request.method === 'PUT') return void response.writeHead(204).end()
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answers.shift()))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const options = { timeoutMs: defaultTimeoutMs, proxyId: 'one', processGroup: 'g', log: capture().logger }
    const authority = orielAuthority({ endpoint, auth: staticToken(SERVICE), ...options })
    return {
      requests,
      directory: authority.standingPorts!,
      async [Symbol.asyncDispose]() {
        await authority[Symbol.asyncDispose]()
        server.closeAllConnections()
        server.close()
      },
    }
  }

  it('are those of the API, without one that cannot be dialled, and are asked for with their version', async () => {
    const wrong = [
      { ...port, host: 'a b' },
      { ...port, port: null },
    ]
    await using run = await played(
      { version: '1', serial_ports: [...wrong, port] },
      { version: '2', serial_ports: [], wanted_logs: [{ server_id: INSTANCE, ask_id: 'a' }] },
    )
    const { signal } = new AbortController()
    const admission = { instance: INSTANCE, instanceName: 'web', host: '10.0.0.5', port: 4555, type: 'serial' }
    expect(await run.directory.awaitPorts(undefined, signal)).toEqual({
      version: '1',
      ports: [{ admission, projectId: 'p' }],
      wantedLogs: [],
    })
    const wantedLogs = [{ instance: INSTANCE, askId: 'a' }]
    expect(await run.directory.awaitPorts('1', signal)).toEqual({ version: '2', ports: [], wantedLogs })
    await run.directory.report(wantedLogs[0]!, Buffer.from('SeaBIOS'), signal)
    const path = '/serial-ports'
    expect(run.requests).toEqual([
      { method: 'POST', path, body: { group: 'g' } },
      { method: 'POST', path, body: { group: 'g', version: '1', wait_seconds: 25 } },
      { method: 'PUT', path: `${path}/${INSTANCE}/log`, body: { ask_id: 'a', log: btoa('SeaBIOS') } },
    ])
  })

  it('are confirmed and released one request each, and may be Unix sockets', async () => {
    await using run = await played({ serial_port: { ...port, host: 'unix:/run/web.sock', port: null } })
    const { signal } = new AbortController()
    const { admission } = await run.directory.confirm(INSTANCE, signal)
    expect(admission).toMatchObject({ host: 'unix:/run/web.sock', port: 0, socket: { find: expect.any(Function) } })
    await run.directory.release(signal)
    expect(run.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      ...[`GET /serial-ports/${INSTANCE}`, 'DELETE /serial-ports'],
    ])
  })
})
