/** Consoles with options: how they are created, and which proxies they are admitted to. */
import type { ConsoleRole } from '@oriel/contract'
import { describe, expect, test } from 'vitest'
import { fakeSource, PROJECT, SERVER_ID, server, testApi, tokenPath } from '../support.ts'
import {
  admit,
  type Created,
  capture,
  create,
  ends,
  minted,
  type PlayedProxy,
  resume,
  SESSIONS,
  sessionIn,
} from './proxies.ts'

describe('creating a console with options', () => {
  test('returns its URL, and the role control for a long life and many uses by default', async () => {
    await using api = await testApi()
    const before = Date.now()
    const { status, body } = await create(api, { type: 'novnc' })
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        console: {
          ...{ protocol: 'vnc', type: 'novnc', role: 'control', label: null, single_use: false },
          url: expect.stringMatching(
            /^http:\/\/127\.0\.0\.1:6080\/vnc_lite\.html\?path=%3Fserver%3D[0-9a-f-]{36}%26token%3D[0-9a-f-]{36}$/,
          ),
          expires_at: expect.stringMatching(/Z$/),
        },
      },
    })
    const lifetimeMs = Date.parse((body as Created).console.expires_at) - before
    expect(lifetimeMs).toBeGreaterThanOrEqual(600_000)
    expect((await admit(api, await minted(api))).status).toBe(200)
  })

  test('gives the URL the lifetime that was asked for, up to tokens.max_ttl_seconds', async () => {
    await using api = await testApi({ toml: 'tokens.ttl_seconds = 60\ntokens.max_ttl_seconds = 3600' })
    const { body } = await create(api, { type: 'serial', ttl_seconds: 3600 })
    expect(Date.parse((body as Created).console.expires_at)).toBeGreaterThan(Date.now() + 3_500_000)
    expect(await create(api, { type: 'serial', ttl_seconds: 3601 })).toMatchObject({
      status: 400,
      fault: { message: 'Invalid input for ttl_seconds: must not be greater than 3600' },
    })
  })

  test('refuses a longer lifetime than tokens.ttl_seconds by default', async () => {
    await using api = await testApi({ toml: 'tokens.ttl_seconds = 60' })
    expect((await create(api, { type: 'serial', ttl_seconds: 60 })).status).toBe(200)
    expect((await create(api, { type: 'serial', ttl_seconds: 61 })).fault?.message).toContain('greater than 60')
  })

  test.each<[object, string]>([
    [{}, "'type' is a required property"],
    [{ type: 'xvpvnc' }, 'type'],
    [{ type: 'novnc', role: 'own' }, "role: must be one of 'control', 'watch'"],
    [{ type: 'novnc', ttl_seconds: 0 }, 'ttl_seconds: must not be less than 1'],
    [{ type: 'novnc', ttl_seconds: 1e300 }, 'ttl_seconds: must not be greater than 600'],
    [{ type: 'novnc', ttl_seconds: '60' }, 'ttl_seconds: must be an integer'],
    [{ type: 'novnc', single_use: 'yes' }, 'single_use: must be a boolean'],
    [{ type: 'novnc', label: '' }, 'label: must not be shorter than 1'],
    [{ type: 'novnc', label: 'x'.repeat(65) }, 'label: must not be longer than 64'],
    ...['a\nb', '\u001b[31m', '\u009b31m', '\u2028', '\u202e'].map((label): [object, string] => [
      { type: 'novnc', label },
      'label: must match',
    ]),
    [{ type: 'novnc', user_id: 'bob' }, "'user_id' was unexpected"],
    [{ type: 'webmks', role: 'watch' }, 'A webmks console cannot be opened for watching only.'],
  ])('refuses %j', async (body, message) => {
    await using api = await testApi()
    const answer = await create(api, body)
    expect({ status: answer.status, message: answer.fault?.message }).toEqual({
      status: 400,
      message: expect.stringContaining(message),
    })
  })

  test.each([
    [400, 'consoles.novnc.enabled = false', fakeSource()],
    [404, '', fakeSource([])],
    [404, '', fakeSource([server({ vmState: 'deleted' })])],
    [409, '', fakeSource([server({ host: null })])],
    [409, '', fakeSource([server({ taskState: 'migrating' })])],
  ])("answers %i when Nova's route does: %s", async (status, toml, source) => {
    await using api = await testApi({ toml, source })
    expect((await create(api, { type: 'novnc', role: 'watch' })).status).toBe(status)
  })

  test('writes an audit record with the options and without the token', async () => {
    const { log, lines, audits } = capture()
    await using api = await testApi({ log })
    const token = await minted(api, { role: 'watch', label: 'Bob', single_use: true, ttl_seconds: 30 })
    expect(audits()).toMatchObject([
      {
        ...{ audit: 'created', by: 'alice', serverId: SERVER_ID, serverName: 'web-1', projectId: PROJECT },
        ...{ protocol: 'vnc', type: 'novnc', role: 'watch', label: 'Bob', singleUse: true, ttlSeconds: 30 },
      },
    ])
    expect(JSON.stringify(lines)).not.toContain(token)
  })
})

describe('the rule oriel:consoles:create', () => {
  const statusesOf = async (toml: string, role: ConsoleRole) => {
    await using api = await testApi({ toml })
    const callers = ['member', 'reader', 'norole', 'admin', 'service', 'stranger', 'unscoped'] as const
    const statuses = await Promise.all(
      callers.map(async (as) => [as, (await create(api, { type: 'novnc', role }, as)).status]),
    )
    return Object.fromEntries(statuses)
  }
  const refused = { member: 403, reader: 403, norole: 403, admin: 403, service: 403, stranger: 403, unscoped: 403 }

  test.each(['control', 'watch'] as const)('grants members and admins the role %s by default', async (role) => {
    expect(await statusesOf('', role)).toEqual({ ...refused, member: 200, admin: 200, stranger: 404 })
  })

  test.each(['control', 'watch'] as const)(
    'grants the role %s to whom os-remote-consoles grants consoles, unless it is set',
    async (role) => {
      const toml = '[policy]\n"os_compute_api:os-remote-consoles" = ["admin"]'
      expect(await statusesOf(toml, role)).toEqual({ ...refused, admin: 200 })
    },
  )

  test('lets readers watch and never control', async () => {
    const toml = '[policy]\n"oriel:consoles:create" = ["reader"]'
    expect(await statusesOf(toml, 'watch')).toEqual({
      ...{ ...refused, member: 200, reader: 200, admin: 200, stranger: 404 },
    })
    await using api = await testApi({ toml })
    expect(await create(api, { type: 'novnc', role: 'control' }, 'reader')).toMatchObject({
      status: 403,
      fault: { message: expect.stringContaining('os_compute_api:os-remote-consoles') },
    })
  })
})

describe('a token with the role watch', () => {
  test('is admitted to a proxy that enforces the role, with role and label', async () => {
    const { log, audits } = capture()
    await using api = await testApi({ log })
    const { status, body } = await admit(api, await minted(api, { role: 'watch', label: 'Bob' }), {
      roles: 'control, watch',
    })
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { session: { console: { role: 'watch', label: 'Bob' } } },
    })
    expect((body as { session: { console: object } }).session.console).not.toHaveProperty('single_use')
    const { body: listed } = await api.call('GET', SESSIONS)
    expect(listed).toMatchObject({ sessions: [{ role: 'watch', label: 'Bob', invitation_id: null }] })
    expect(audits().at(-1)).toMatchObject({ audit: 'admitted', role: 'watch', label: 'Bob' })
  })

  test.each([undefined, '', 'control', 'watcher, Watch'])(
    'is refused to a proxy that enforces the roles %j, and the log names the remedy',
    async (roles) => {
      const { log, lines, audits } = capture()
      await using api = await testApi({ log })
      const token = await minted(api, { role: 'watch' })
      expect(await admit(api, token, roles === undefined ? {} : { roles })).toMatchObject({ status: 404 })
      expect(await api.deps.sessions.list({ limit: 1 })).toEqual([])
      expect(audits().at(-1)).toMatchObject({ audit: 'refused', serverId: SERVER_ID, detail: 'the proxy is too old' })
      expect(lines).toContainEqual(
        expect.objectContaining({
          proxyId: 'proxy-1',
          role: 'watch',
          msg: expect.stringContaining('update the proxy'),
        }),
      )
      expect((await admit(api, token, { roles: 'watch' })).status).toBe(200)
    },
  )
})

describe('a session that is resumed', () => {
  test('keeps its role and its label', async () => {
    await using api = await testApi()
    const token = await minted(api, { role: 'watch', label: 'Bob' })
    const id = sessionIn(await admit(api, token, { roles: 'watch' }))
    expect((await resume(api, id, { roles: 'control' })).status).toBe(404)
    const resumed = await resume(api, id, { roles: 'control, watch' })
    expect(resumed).toMatchObject({ status: 200, body: { session: { console: { role: 'watch', label: 'Bob' } } } })
    expect(await api.deps.sessions.find(sessionIn(resumed))).toMatchObject({ role: 'watch', label: 'Bob' })
  })

  test('leaves its single-use token used up, even if its console could not be opened again', async () => {
    await using api = await testApi()
    const token = await minted(api, { single_use: true })
    const id = sessionIn(await admit(api, token))
    await ends(api, id, 'client_lost', 1)
    await ends(api, sessionIn(await resume(api, id)), 'console_unreachable')
    expect((await admit(api, token)).status).toBe(404)
  })
})

describe("Nova's route for tokens", () => {
  const shown = async (options: object) => {
    await using api = await testApi()
    return (await api.call('GET', tokenPath(await minted(api, options)), { as: 'service', version: '2.99' })).status
  }

  test('does not show a token whose role or single use its proxies would not enforce', async () => {
    expect([await shown({ role: 'watch' }), await shown({ single_use: true })]).toEqual([404, 404])
  })

  test('shows a token with a label or a lifetime', async () => {
    expect([await shown({ label: 'Bob' }), await shown({ ttl_seconds: 5 })]).toEqual([200, 200])
  })
})

describe('a token for a single use', () => {
  test('is admitted once, and says so to the proxy', async () => {
    const { log, audits } = capture()
    await using api = await testApi({ log })
    const token = await minted(api, { single_use: true })
    expect(await admit(api, token)).toMatchObject({ status: 200, body: { session: { console: { single_use: true } } } })
    expect((await admit(api, token)).status).toBe(404)
    expect(audits().at(-1)).toMatchObject({ audit: 'refused', reason: 'unknown_token', detail: 'the token is used up' })
    expect(await api.deps.sessions.list({ limit: 2 })).toHaveLength(1)
  })

  test('is admitted to one of many clients that connect at the same time', async () => {
    await using api = await testApi()
    const token = await minted(api, { single_use: true })
    const clients = Array.from({ length: 12 }, (_, i) => ({ proxy: `proxy-${i}`, client: `10.0.0.${i}` }))
    const statuses = await Promise.all(clients.map(async (client) => (await admit(api, token, client)).status))
    expect(statuses.filter((status) => status === 200)).toHaveLength(1)
  })

  test('is admitted for further channels of a SPICE page, to the same proxy and client only', async () => {
    await using api = await testApi()
    const token = await minted(api, { type: 'spice-html5', single_use: true })
    const statusFor = async (proxy: PlayedProxy) => (await admit(api, token, proxy)).status
    expect([await statusFor({}), await statusFor({})]).toEqual([200, 200])
    expect([await statusFor({ client: '10.0.0.10' }), await statusFor({ proxy: 'proxy-2' })]).toEqual([404, 404])
  })

  test.each(['console_unreachable', 'client_lost'])(
    'may be used again after an end as %s without a byte',
    async (reason) => {
      await using api = await testApi()
      const token = await minted(api, { single_use: true })
      const first = sessionIn(await admit(api, token))
      expect((await admit(api, token)).status).toBe(404)
      for (let i = 0; i < 2; i++) await ends(api, first, reason)
      expect([(await admit(api, token)).status, (await admit(api, token)).status]).toEqual([200, 404])
    },
  )

  test.each([
    ['client_closed', 0],
    ['ended', 0],
    ['client_lost', 1],
    ['console_unreachable', 1],
  ])('stays used after a session that ended as %s with %i bytes', async (reason, bytes) => {
    await using api = await testApi()
    const token = await minted(api, { single_use: true })
    await ends(api, sessionIn(await admit(api, token)), reason, bytes)
    expect((await admit(api, token)).status).toBe(404)
  })

  test('may be used again after the store failed to register its session', async () => {
    await using api = await testApi()
    const token = await minted(api, { single_use: true })
    const { sessions } = api.deps
    const { add } = sessions
    Object.assign(sessions, { add: async () => Promise.reject(new Error('away')) })
    expect((await admit(api, token)).status).toBe(500)
    Object.assign(sessions, { add })
    expect((await admit(api, token)).status).toBe(200)
  })
})
