/** Invitations to open sessions: who may invite, how long an invitation lives, and what its revocation ends. */
import { type ConsoleRole, tokenOf } from '@oriel/contract'
import { describe, expect, test } from 'vitest'
import { type Caller, fakeSource, PROJECT, SERVER_ID, server, type TestApi, testApi } from '../support.ts'
import { admit, capture, ends, minted, type PlayedProxy, resume, SESSIONS, sessionIn } from './proxies.ts'
import { newSession } from './store.suite.ts'

const invitationsOf = (session: string) => `${SESSIONS}/${session}/invitations`
const ALL = 'control, watch'

/** Opens a session of alice and returns its id. */
const opened = async (api: TestApi, options: object = {}) =>
  sessionIn(await admit(api, await minted(api, options), { roles: ALL }))

const invite = (api: TestApi, session: string, body: object = { role: 'watch' }, as: Caller = 'member') =>
  api.call('POST', invitationsOf(session), { as, body })

interface Invited {
  readonly invitation: { readonly id: string; readonly url: string; readonly expires_at: string }
}
const invitationIn = ({ body }: { readonly body: unknown }) => (body as Invited).invitation

/** Invites a colleague, and returns the invitation and its token. */
async function invited(api: TestApi, session: string, body: object = { role: 'watch' }) {
  const invitation = invitationIn(await invite(api, session, body))
  return { id: invitation.id, token: tokenOf(invitation.url)! }
}

const COLLEAGUE: PlayedProxy = { proxy: 'proxy-2', client: '10.0.0.77', roles: ALL }
const list = async (api: TestApi, session: string) => {
  const { body } = await api.call('GET', invitationsOf(session))
  return (body as { invitations: { id: string }[] }).invitations
}
const revoke = (api: TestApi, session: string, id: string, as: Caller = 'member') =>
  api.call('DELETE', `${invitationsOf(session)}/${id}`, { as })

describe('inviting to a session', () => {
  test.each(['control', 'watch'] as const)(
    'returns a URL that opens the console once, with the role %s',
    async (role) => {
      await using api = await testApi()
      const session = await opened(api, { type: 'serial' })
      const { status, body } = await invite(api, session, { role, label: 'Bob' })
      expect({ status, body }).toEqual({
        status: 200,
        body: {
          invitation: {
            ...{
              id: expect.any(String),
              session_id: session,
              server_id: SERVER_ID,
              type: 'serial',
              role,
              label: 'Bob',
            },
            ...{
              created_by: 'alice',
              created_at: expect.stringMatching(/Z$/),
              expires_at: expect.stringMatching(/Z$/),
            },
            url: expect.stringMatching(/^ws:\/\/127\.0\.0\.1:6083\/\?server=[0-9a-f-]{36}&token=/),
          },
        },
      })
      const { id, url } = invitationIn({ body })
      const first = await admit(api, tokenOf(url)!, COLLEAGUE)
      expect(first).toMatchObject({
        status: 200,
        body: { session: { console: { role, label: 'Bob', single_use: true, invited: true } } },
      })
      expect(await api.deps.sessions.find(sessionIn(first))).toMatchObject({ userId: 'alice', role, invitationId: id })
      expect((await admit(api, tokenOf(url)!, COLLEAGUE)).status).toBe(404)
    },
  )

  test('marks the console of a guest for its proxy, also when the guest resumes, but not that of who invites', async () => {
    await using api = await testApi()
    const own = await admit(api, await minted(api), { roles: ALL })
    expect(own.body).not.toHaveProperty('session.console.invited')
    const { token } = await invited(api, sessionIn(own))
    const guest = sessionIn(await admit(api, token, COLLEAGUE))
    expect(await resume(api, guest, COLLEAGUE)).toMatchObject({ body: { session: { console: { invited: true } } } })
  })

  test('names the invitation in the list of sessions', async () => {
    await using api = await testApi()
    const { id, token } = await invited(api, await opened(api))
    await admit(api, token, COLLEAGUE)
    const { body } = await api.call('GET', `${SESSIONS}?state=open`)
    const { sessions } = body as { sessions: { invitation_id: string | null }[] }
    expect(sessions.map(({ invitation_id }) => invitation_id)).toEqual(expect.arrayContaining([id, null]))
  })

  test('bounds the lifetime as for consoles', async () => {
    await using api = await testApi({ toml: 'tokens.ttl_seconds = 60\ntokens.max_ttl_seconds = 120' })
    const session = await opened(api)
    const seconds = async (body: object) => Date.parse(invitationIn(await invite(api, session, body)).expires_at)
    const [standard, longest] = [await seconds({ role: 'watch' }), await seconds({ role: 'watch', ttl_seconds: 120 })]
    expect(longest - standard).toBeGreaterThanOrEqual(60_000)
    expect((await invite(api, session, { role: 'watch', ttl_seconds: 121 })).fault?.message).toContain('than 120')
  })

  test.each([
    [{}, "'role' is a required property"],
    [{ role: 'own' }, 'role'],
    [{ role: 'watch', single_use: false }, 'single_use'],
    [{ role: 'watch', label: '\u001b' }, 'label'],
  ])('refuses %j', async (body, message) => {
    await using api = await testApi()
    const answer = await invite(api, await opened(api), body)
    expect({ status: answer.status, message: answer.fault?.message }).toEqual({
      status: 400,
      message: expect.stringContaining(message),
    })
  })

  test('refuses a session that has ended, or is about to', async () => {
    await using api = await testApi()
    const ended = await opened(api)
    await ends(api, ended, 'client_closed', 1)
    const ending = await opened(api)
    await api.call('DELETE', `${SESSIONS}/${ending}`)
    expect([(await invite(api, ended)).status, (await invite(api, ending)).status]).toEqual([409, 409])
  })

  test('refuses a server that is not ready for a console', async () => {
    const source = fakeSource()
    await using api = await testApi({ source })
    const session = await opened(api)
    Object.assign(source, fakeSource([server({ taskState: 'migrating' })]))
    expect((await invite(api, session)).status).toBe(409)
  })

  test('refuses a session that may only watch, unless an administrator invites', async () => {
    await using api = await testApi()
    const session = await opened(api, { role: 'watch' })
    expect((await invite(api, session)).status).toBe(403)
    expect((await invite(api, session, { role: 'watch' }, 'admin')).status).toBe(200)
  })

  const refused = { member: 403, reader: 403, norole: 403, admin: 403, service: 403, stranger: 403, unscoped: 403 }
  const statusesOf = async (toml: string, role: ConsoleRole) => {
    await using api = await testApi({ toml })
    const session = await opened(api)
    const callers = Object.keys(refused) as (keyof typeof refused)[]
    const statuses = callers.map(async (as) => [as, (await invite(api, session, { role }, as)).status])
    return Object.fromEntries(await Promise.all(statuses))
  }

  test('is for the user of the session and for administrators', async () => {
    const own = { ...refused, member: 200, admin: 200, stranger: 404 }
    expect(await statusesOf('', 'watch')).toEqual(own)
    expect(await statusesOf('', 'control')).toEqual(own)
  })

  test('is not for other users of the project, whatever their roles', async () => {
    const toml = '[policy]\n"oriel:sessions:invite" = ["member", "reader"]'
    expect(await statusesOf(toml, 'watch')).toEqual({ ...refused, member: 200, admin: 200, stranger: 404 })
  })

  test('answers 404 for an unknown session', async () => {
    await using api = await testApi()
    for (const method of ['POST', 'GET'] as const) {
      const options = method === 'POST' ? { body: { role: 'watch' } } : {}
      expect((await api.call(method, invitationsOf('none'), options)).status).toBe(404)
    }
    expect((await revoke(api, 'none', 'x')).status).toBe(404)
  })

  test('gives the role control only to callers who may create consoles', async () => {
    const toml = '[policy]\n"os_compute_api:os-remote-consoles" = ["admin"]'
    await using api = await testApi({ toml })
    const { id } = await api.deps.sessions.add(newSession({ serverId: SERVER_ID, projectId: PROJECT }))
    expect((await invite(api, id, { role: 'watch' })).status).toBe(200)
    expect(await invite(api, id, { role: 'control' })).toMatchObject({
      status: 403,
      fault: { message: expect.stringContaining('os_compute_api:os-remote-consoles') },
    })
  })
})

describe('an invitation', () => {
  test('is listed newest first until it is revoked, without its URL', async () => {
    await using api = await testApi()
    const session = await opened(api)
    const first = await invited(api, session, { role: 'watch', label: 'Bob' })
    const second = await invited(api, session, { role: 'control' })
    await invited(api, await opened(api))
    const { body } = await api.call('GET', invitationsOf(session))
    expect((body as { invitations: object[] }).invitations).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          id: first.id,
          session_id: session,
          role: 'watch',
          label: 'Bob',
          created_by: 'alice',
        }),
        expect.objectContaining({ id: second.id, role: 'control', label: null }),
      ]),
    )
    for (const secret of [first.token, second.token, 'token=']) expect(JSON.stringify(body)).not.toContain(secret)
    await revoke(api, session, first.id)
    expect((await list(api, session)).map(({ id }) => id)).toEqual([second.id])
  })

  test('is visible to the user of its session and to administrators only', async () => {
    await using api = await testApi({ toml: '[policy]\n"oriel:sessions:invite" = ["member", "reader"]' })
    const session = await opened(api)
    const { id } = await invited(api, session)
    const statuses = async (as: Caller) => [
      (await api.call('GET', invitationsOf(session), { as })).status,
      (await revoke(api, session, id, as)).status,
    ]
    expect(await statuses('reader')).toEqual([403, 403])
    expect(await statuses('stranger')).toEqual([404, 404])
    expect(await statuses('admin')).toEqual([200, 204])
  })

  test('opens nothing after its session has ended', async () => {
    const { log, audits } = capture()
    await using api = await testApi({ log })
    const session = await opened(api)
    const { token } = await invited(api, session)
    await ends(api, session, 'client_closed', 1)
    expect((await admit(api, token, COLLEAGUE)).status).toBe(404)
    expect(audits().at(-1)).toMatchObject({ audit: 'refused', detail: 'the inviting session has ended' })
  })

  test('opens nothing once the end of its session was requested', async () => {
    await using api = await testApi()
    const session = await opened(api)
    const { token } = await invited(api, session)
    await api.call('DELETE', `${SESSIONS}/${session}`)
    expect((await admit(api, token, COLLEAGUE)).status).toBe(404)
  })

  test('stays usable, and revocable, while its user comes back to the session', async () => {
    await using api = await testApi()
    const session = await opened(api)
    const [early, late] = [await invited(api, session), await invited(api, session)]
    await ends(api, session, 'client_lost', 1)
    expect((await admit(api, early.token, COLLEAGUE)).status).toBe(404)
    const resumed = sessionIn(await resume(api, session))
    expect((await admit(api, early.token, COLLEAGUE)).status).toBe(200)
    expect(await list(api, resumed)).toHaveLength(2)
    expect((await revoke(api, resumed, late.id)).status).toBe(204)
    expect((await admit(api, late.token, COLLEAGUE)).status).toBe(404)
  })

  test('ends with the tokens of its server', async () => {
    await using api = await testApi()
    const { token } = await invited(api, await opened(api))
    await api.call('DELETE', `/oriel/v1/servers/${SERVER_ID}/console-auth-tokens`)
    expect((await admit(api, token, COLLEAGUE)).status).toBe(404)
  })
})

describe('a session that came with an invitation', () => {
  test('goes on after the inviting session has ended', async () => {
    await using api = await testApi()
    const session = await opened(api)
    const { token } = await invited(api, session)
    const guest = sessionIn(await admit(api, token, COLLEAGUE))
    await api.call('DELETE', `${SESSIONS}/${session}`)
    await ends(api, session, 'ended', 1)
    expect(await api.deps.sessions.find(guest)).toMatchObject({ endedAt: null, endWanted: null })
  })

  test('may not invite, although its user may, if it watches', async () => {
    await using api = await testApi()
    const { token } = await invited(api, await opened(api))
    const guest = sessionIn(await admit(api, token, COLLEAGUE))
    expect((await invite(api, guest)).status).toBe(403)
  })
})

describe('revoking an invitation', () => {
  test('ends the sessions that came with it, and cannot be resumed from', async () => {
    await using api = await testApi()
    const session = await opened(api)
    const { id, token } = await invited(api, session)
    const guest = sessionIn(await admit(api, token, COLLEAGUE))
    const other = await invited(api, session)
    const stays = sessionIn(await admit(api, other.token, COLLEAGUE))
    expect((await revoke(api, session, id)).status).toBe(202)
    expect(await api.deps.sessions.find(guest)).toMatchObject({ endWanted: 'revoked' })
    for (const untouched of [session, stays]) {
      expect(await api.deps.sessions.find(untouched)).toMatchObject({ endWanted: null })
    }
    expect((await resume(api, guest)).status).toBe(404)
    expect((await revoke(api, session, id)).status).toBe(202)
    await api.deps.sessions.end(guest, 'revoked')
    expect((await revoke(api, session, id)).status).toBe(204)
  })

  test('makes its URL useless before its first use', async () => {
    await using api = await testApi()
    const session = await opened(api)
    const { id, token } = await invited(api, session)
    expect((await revoke(api, session, id)).status).toBe(204)
    expect((await admit(api, token, COLLEAGUE)).status).toBe(404)
  })

  test('refuses a client that is being admitted meanwhile', async () => {
    await using api = await testApi()
    const { sessions } = api.deps
    const { add } = sessions
    const session = await opened(api)
    const { id, token } = await invited(api, session)
    Object.assign(sessions, {
      add: async (...parameters: Parameters<typeof add>) => {
        expect((await revoke(api, session, id)).status).toBe(204)
        return add(...parameters)
      },
    })
    expect((await admit(api, token, COLLEAGUE)).status).toBe(404)
    expect(await sessions.list({ limit: 5, state: 'open' })).toHaveLength(1)
  })

  test('answers 404 for an unknown invitation, and for one of another session', async () => {
    await using api = await testApi()
    const { id } = await invited(api, await opened(api))
    const other = await opened(api)
    expect([(await revoke(api, other, id)).status, (await revoke(api, other, 'none')).status]).toEqual([404, 404])
  })
})

test('the audit trail has who invited whom, who came, and who revoked it', async () => {
  const { log, lines, audits } = capture()
  await using api = await testApi({ log })
  const session = await opened(api)
  const { id, token } = await invited(api, session, { role: 'watch', label: 'Bob' })
  const guest = sessionIn(await admit(api, token, COLLEAGUE))
  for (let i = 0; i < 2; i++) await revoke(api, session, id, 'admin')
  expect(audits().slice(2)).toMatchObject([
    { audit: 'invited', session, by: 'alice', invitation: id, role: 'watch', label: 'Bob', serverId: SERVER_ID },
    { audit: 'admitted', session: guest, invitation: id, role: 'watch', label: 'Bob' },
    { audit: 'invitation-revoked', session, by: 'adam', invitation: id, label: 'Bob', ending: 1 },
  ])
  expect(audits()).toHaveLength(5)
  expect(JSON.stringify(lines)).not.toContain(token)
})
