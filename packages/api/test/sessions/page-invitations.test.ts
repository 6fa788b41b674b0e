/** Invitations that a proxy creates, lists and revokes for the page of a session, which has no credential. */
import { tokenOf } from '@oriel/contract'
import { describe, expect, test } from 'vitest'
import { MAX_INVITATIONS } from '../../src/sessions/page-invitations.ts'
import {
  type Caller,
  consolesPath,
  fakeSource,
  OTHER_PROJECT,
  remoteConsole,
  SERVER_ID,
  server,
  type TestApi,
  testApi,
} from '../support.ts'
import { admit, capture, create, ends, minted, type PlayedProxy, resume, SESSIONS, sessionIn } from './proxies.ts'

const ALL = 'control, watch'
const COLLEAGUE: PlayedProxy = { proxy: 'proxy-2', client: '10.0.0.77', roles: ALL }
const pathOf = (session: string, proxy = 'proxy-1') => `/oriel/v1/proxies/${proxy}/sessions/${session}/invitations`

/** Opens a session of alice and returns its id. */
const opened = async (api: TestApi, options: object = {}) =>
  sessionIn(await admit(api, await minted(api, options), { roles: ALL }))

/** More than a statement of SQLite may have parameters. */
const MANY = 33_000

interface Asking {
  readonly as?: Caller
  readonly proxy?: string
}

const invite = (api: TestApi, session: string, body: object = { role: 'watch' }, asking: Asking = {}) =>
  api.call('POST', pathOf(session, asking.proxy), { as: asking.as ?? 'service', body })
const list = (api: TestApi, session: string, { as = 'service', proxy }: Asking = {}) =>
  api.call('GET', pathOf(session, proxy), { as })
const revoke = (api: TestApi, session: string, id: string, { as = 'service', proxy }: Asking = {}) =>
  api.call('DELETE', `${pathOf(session, proxy)}/${id}`, { as })

interface Listed {
  readonly invitations: readonly { readonly id: string; readonly is_used: boolean }[]
}
const listed = async (api: TestApi, session: string) => ((await list(api, session)).body as Listed).invitations

/** Invites a colleague, and returns the invitation and its token. */
async function invited(api: TestApi, session: string, body: object = { role: 'watch' }) {
  const { invitation } = (await invite(api, session, body)).body as { invitation: { id: string; url: string } }
  return { id: invitation.id, token: tokenOf(invitation.url)! }
}

const statusAndMessage = async (answer: Promise<{ status: number; fault: { message: string } | undefined }>) => {
  const { status, fault } = await answer
  return [status, fault?.message]
}
const FORBIDDEN = [403, "Policy doesn't allow oriel:sessions:invite to be performed."]

describe('a proxy that invites for the page of its session', () => {
  test.each(['control', 'watch'] as const)('gets a URL that opens the console once, with the role %s', async (role) => {
    await using api = await testApi()
    const session = await opened(api, { type: 'serial' })
    const { status, body } = await invite(api, session, { role, label: 'Bob', ttl_seconds: 60 })
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        invitation: {
          ...{ id: expect.any(String), session_id: session, server_id: SERVER_ID, type: 'serial', role, label: 'Bob' },
          ...{ created_by: 'alice', created_at: expect.any(String), expires_at: expect.any(String), is_used: false },
          url: expect.stringMatching(/^ws:\/\/127\.0\.0\.1:6083\/\?server=[0-9a-f-]{36}&token=/),
        },
      },
    })
    const { url } = (body as { invitation: { url: string } }).invitation
    const guest = await admit(api, tokenOf(url)!, COLLEAGUE)
    expect(guest).toMatchObject({
      body: { session: { console: { role, label: 'Bob', user_id: 'alice', invited: true } } },
    })
    expect((await admit(api, tokenOf(url)!, COLLEAGUE)).status).toBe(404)
  })

  test('lists unused and used invitations without URLs, and the limits', async () => {
    await using api = await testApi({ toml: 'tokens.max_ttl_seconds = 3600' })
    const session = await opened(api)
    const used = await invited(api, session, { role: 'control' })
    await admit(api, used.token, COLLEAGUE)
    const unused = await invited(api, session, { role: 'watch', label: 'Bob' })
    const { body } = await list(api, session)
    expect(body).toMatchObject({ max_ttl_seconds: 3600, max_invitations: MAX_INVITATIONS })
    expect((body as Listed).invitations).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: used.id, role: 'control', is_used: true }),
        expect.objectContaining({ id: unused.id, label: 'Bob', is_used: false }),
      ]),
    )
    for (const secret of [used.token, unused.token, 'token=', 'url']) expect(JSON.stringify(body)).not.toContain(secret)
  })

  test('revokes an invitation and ends the session that came with it', async () => {
    await using api = await testApi()
    const session = await opened(api)
    const [one, other] = [await invited(api, session), await invited(api, session)]
    const guest = sessionIn(await admit(api, one.token, COLLEAGUE))
    expect((await revoke(api, session, one.id)).status).toBe(202)
    expect(await api.deps.sessions.find(guest)).toMatchObject({ endWanted: 'revoked' })
    expect((await revoke(api, session, other.id)).status).toBe(204)
    expect((await admit(api, other.token, COLLEAGUE)).status).toBe(404)
    expect(await listed(api, session)).toEqual([])
    expect(await statusAndMessage(revoke(api, session, 'none'))).toEqual([404, 'Invitation none could not be found.'])
  })

  test('may do so for a session that resumes, which keeps its invitations', async () => {
    await using api = await testApi()
    const session = await opened(api)
    const early = await invited(api, session)
    await ends(api, session, 'client_lost', 1)
    const resuming = await resume(api, session)
    expect(resuming.body).toMatchObject({ session: { console: { may_invite: true } } })
    const resumed = sessionIn(resuming)
    const late = await invited(api, resumed)
    expect((await listed(api, resumed)).map(({ id }) => id).toSorted()).toEqual([early.id, late.id].toSorted())
    expect((await revoke(api, resumed, early.id)).status).toBe(204)
  })

  test('names the user of the session in the audit trail, and that its page invited', async () => {
    const { log, lines, audits } = capture()
    await using api = await testApi({ log })
    const session = await opened(api)
    const { id, token } = await invited(api, session, { role: 'watch', label: 'Bob' })
    for (let i = 0; i < 2; i++) await revoke(api, session, id)
    expect(audits().slice(2)).toMatchObject([
      { audit: 'invited', session, by: 'alice', fromPage: true, invitation: id, role: 'watch', label: 'Bob' },
      { audit: 'invitation-revoked', session, by: 'alice', fromPage: true, invitation: id, ending: 0 },
    ])
    expect(audits()).toHaveLength(4)
    expect(JSON.stringify(lines)).not.toContain(token)
  })
})

describe('a page may invite', () => {
  const mayInvite = async (api: TestApi, token: string) => {
    const { session } = (await admit(api, token, { roles: ALL })).body as {
      session: { id: string; console: { may_invite?: boolean } }
    }
    expect((await invite(api, session.id)).status).toBe(session.console.may_invite ? 200 : 403)
    return session.console.may_invite === true
  }

  test("if Nova's route created its console", async () => {
    await using api = await testApi()
    const { body } = await api.call('POST', consolesPath(), { version: '2.99', body: remoteConsole('vnc', 'novnc') })
    expect(await mayInvite(api, tokenOf((body as { remote_console: { url: string } }).remote_console.url)!)).toBe(true)
  })

  test.each([
    [{}, true],
    [{ label: 'Alice' }, true],
    [{ may_invite: false }, false],
    [{ single_use: true }, false],
    [{ single_use: true, may_invite: true }, true],
    [{ role: 'watch' }, false],
  ])('to a console that was created with %j: %s', async (options, expected) => {
    await using api = await testApi()
    expect(await mayInvite(api, await minted(api, options))).toBe(expected)
  })

  test('only if the creator of its console may', async () => {
    await using api = await testApi({ toml: '[policy]\n"oriel:sessions:invite" = ["admin"]' })
    expect(await mayInvite(api, await minted(api))).toBe(false)
    expect(await statusAndMessage(create(api, { type: 'novnc', may_invite: true }))).toEqual(FORBIDDEN)
  })

  test('not for a watcher: its console cannot be created with may_invite', async () => {
    await using api = await testApi()
    const answer = create(api, { type: 'novnc', role: 'watch', may_invite: true })
    expect(await statusAndMessage(answer)).toEqual([400, expect.stringContaining('omit may_invite')])
  })

  test('not once the policy has no role that may invite', async () => {
    await using api = await testApi()
    const session = await opened(api)
    const policy = { ...api.deps.config.policy, 'oriel:sessions:invite': [] }
    await using restarted = await testApi({ ...api.deps, config: { ...api.deps.config, policy } })
    expect(await statusAndMessage(invite(restarted, session))).toEqual(FORBIDDEN)
  })
})

describe('the API refuses to invite', () => {
  test.each(['control', 'watch'])('for a guest with the role %s, also after it has resumed', async (role) => {
    await using api = await testApi()
    const session = await opened(api)
    const { id, token } = await invited(api, session, { role })
    const guest = sessionIn(await admit(api, token, COLLEAGUE))
    const resumed = sessionIn(await resume(api, guest, COLLEAGUE))
    for (const each of [guest, resumed]) {
      expect(await statusAndMessage(invite(api, each, { role: 'watch' }, COLLEAGUE))).toEqual(FORBIDDEN)
      expect(await statusAndMessage(list(api, each, COLLEAGUE))).toEqual(FORBIDDEN)
      expect(await statusAndMessage(revoke(api, each, id, COLLEAGUE))).toEqual(FORBIDDEN)
    }
  })

  test("for a session of another proxy, and for another user's proxy", async () => {
    await using api = await testApi()
    const session = await opened(api)
    const { id } = await invited(api, session)
    const elsewhere = { proxy: 'proxy-2' }
    const noSession = [404, 'The proxy has no such session.']
    expect(await statusAndMessage(invite(api, session, { role: 'watch' }, elsewhere))).toEqual(noSession)
    expect(await statusAndMessage(list(api, session, elsewhere))).toEqual(noSession)
    expect(await statusAndMessage(revoke(api, session, id, elsewhere))).toEqual(noSession)
    expect(await statusAndMessage(invite(api, 'none'))).toEqual(noSession)
    for (const asking of [{ as: 'otherService' }, { as: 'otherService', proxy: 'proxy-3' }] as const) {
      expect([403, 404]).toContain((await invite(api, session, { role: 'watch' }, asking)).status)
    }
    expect(await listed(api, session)).toHaveLength(1)
  })

  test.each(['member', 'reader', 'norole', 'stranger'] as const)('for the caller %s, who is no proxy', async (as) => {
    await using api = await testApi()
    const session = await opened(api)
    expect((await invite(api, session, { role: 'watch' }, { as })).status).toBe(403)
    expect((await list(api, session, { as })).status).toBe(403)
  })

  test('more than the limit, until one is revoked', async () => {
    await using api = await testApi()
    const session = await opened(api)
    const statuses: number[] = []
    for (let i = 0; i < 100; i++) statuses.push((await invite(api, session)).status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(MAX_INVITATIONS)
    const all = await listed(api, session)
    expect(all).toHaveLength(MAX_INVITATIONS)
    expect(await statusAndMessage(invite(api, session))).toEqual([409, expect.stringContaining('Revoke one')])
    await revoke(api, session, all[0]!.id)
    expect((await invite(api, session)).status).toBe(200)
  })

  test('more than the limit to concurrent requests, whose tokens then open nothing', async () => {
    await using api = await testApi()
    const session = await opened(api)
    const answers = await Promise.all(Array.from({ length: MAX_INVITATIONS + 4 }, () => invite(api, session)))
    const granted = answers.filter(({ status }) => status === 200).length
    expect(granted).toBeLessThanOrEqual(MAX_INVITATIONS)
    expect(await listed(api, session)).toHaveLength(granted)
    expect(await api.deps.tokens.revokeServer(SERVER_ID)).toBe(granted + 1)
  })

  test('only for current invitations, and reads no others', async () => {
    await using api = await testApi()
    const session = await opened(api)
    const expired = { serverId: SERVER_ID, type: 'novnc', role: 'watch', label: null, createdBy: 'alice' } as const
    for (let i = 0; i < MANY; i++) {
      const id = `expired-${i}`
      await api.deps.invitations.add({ ...expired, id, sessionId: session, expiresAt: 1, tokenId: id })
    }
    expect((await invite(api, session)).status).toBe(200)
    expect(await listed(api, session)).toHaveLength(1)
  })

  test('for longer than a console may be opened, and with an unknown role or label', async () => {
    await using api = await testApi()
    const session = await opened(api)
    for (const body of [{ role: 'watch', ttl_seconds: 601 }, { role: 'own' }, { role: 'watch', label: '\u202e' }, {}])
      expect((await invite(api, session, body)).status).toBe(400)
  })

  test('after the end of the session, or once it was requested', async () => {
    await using api = await testApi()
    const ended = await opened(api)
    await ends(api, ended, 'client_closed', 1)
    const ending = await opened(api)
    await api.call('DELETE', `${SESSIONS}/${ending}`)
    for (const session of [ended, ending])
      expect(await statusAndMessage(invite(api, session))).toEqual([409, 'The session has ended.'])
  })

  test('once the server belongs to another project', async () => {
    const source = fakeSource()
    await using api = await testApi({ source })
    const session = await opened(api)
    Object.assign(source, fakeSource([server({ projectId: OTHER_PROJECT })]))
    expect((await invite(api, session)).status).toBe(404)
  })
})
