/** Oriel's own extension: what is sent, what comes back, and what compiles. */
import type { Session } from '@oriel/contract'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { AnswerError, Conflict, createClient, NotFound, staticToken } from '../src/index.ts'
import { type Answer, serve } from './serve.ts'

const TOKEN = '8d3c1e8e-1111-4222-8333-123456789abc'
const session: Session = {
  ...{ id: 's1', server_id: 'v1', server_name: 'web', project_id: 'p', user_id: 'u', client_address: '127.0.0.1' },
  ...{ protocol: 'vnc', type: 'novnc', proxy_id: 'one', started_at: '2026-11-22T00:00:00.000Z' },
  ...{ ended_at: null, end_reason: null, bytes_to_client: 1, bytes_to_console: 2 },
}
const connect = { body: { token: TOKEN, proxy_id: 'one', client_address: '127.0.0.1' } }

/** A client of an API that answers everything in this way. */
async function clientOf(answer: Answer, path = '/v2.1') {
  const served = await serve(() => answer)
  const { oriel } = createClient({ endpoint: `${served.origin}${path}`, auth: staticToken('caller') })
  return { oriel, requests: served.requests, [Symbol.asyncDispose]: () => served[Symbol.asyncDispose]() }
}

describe('client.oriel', () => {
  it.each([
    ['/v2.1', '/oriel/v1/sessions'],
    ['/v2.1/', '/oriel/v1/sessions'],
    ['', '/oriel/v1/sessions'],
    ['/compute/v2.1/6f70656e737461636b206d6174746572', '/compute/oriel/v1/sessions'],
    ['/compute', '/compute/oriel/v1/sessions'],
  ])('uses the base URL next to the endpoint %j', async (endpoint, path) => {
    await using client = await clientOf({ body: { sessions: [] } }, endpoint)
    await client.oriel.listSessions()
    expect(client.requests[0]).toMatchObject({ method: 'GET', path })
  })

  it('sends token and body, and no microversion', async () => {
    await using client = await clientOf({ body: { beat_seconds: 5, end: [{ id: 's1', reason: 'ended' }] } })
    const body = { open: [{ id: 's1', bytes_to_client: 1, bytes_to_console: 2 }], ended: [] }
    expect(await client.oriel.beat({ proxy_id: 'one', body })).toEqual({
      beat_seconds: 5,
      end: [{ id: 's1', reason: 'ended' }],
    })
    const [request] = client.requests
    expect(request).toMatchObject({ method: 'PUT', path: '/oriel/v1/proxies/one', body })
    expect(request!.headers['x-auth-token']).toBe('caller')
    expect(Object.keys(request!.headers).filter((name) => name.endsWith('api-version'))).toEqual([])
  })

  it('sends the query of a list', async () => {
    await using client = await clientOf({ body: { sessions: [session] } })
    expect((await client.oriel.listSessions({ query: { state: 'open', limit: '1' } })).sessions).toEqual([session])
    expect(client.requests[0]!.path).toBe('/oriel/v1/sessions?state=open&limit=1')
  })

  it.each([
    [404, { itemNotFound: { code: 404, message: 'No such route.' } }],
    [300, { choices: [{ id: 'v2.1', status: 'CURRENT' }] }],
  ])('throws NotFound for an API other than Oriel’s, which answers %i', async (status, body) => {
    await using client = await clientOf({ status, body })
    await expect(client.oriel.listSessions()).rejects.toBeInstanceOf(NotFound)
    await expect(client.oriel.endSession({ session_id: 's1' })).rejects.toMatchObject({ status: 404 })
  })

  it.each([202, 204])('accepts %i without a body', async (status) => {
    await using client = await clientOf({ status, text: '' })
    expect(await client.oriel.endSession({ session_id: 's1' })).toBeNull()
    expect(await client.oriel.revokeTokens({ server_id: 'v1' })).toBeNull()
    expect(client.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'DELETE /oriel/v1/sessions/s1',
      'DELETE /oriel/v1/servers/v1/console-auth-tokens',
    ])
  })

  it('creates consoles with options and invites to sessions', async () => {
    const url = `https://c.example/vnc_lite.html?path=%3Ftoken%3D${TOKEN}`
    const shared = { type: 'novnc', role: 'watch', label: 'Bob', expires_at: '2026-11-22T00:01:00.000Z', url }
    const console = { ...shared, protocol: 'vnc', single_use: true }
    await using creating = await clientOf({ body: { console } })
    const options = { type: 'novnc', role: 'watch', label: 'Bob', single_use: true, ttl_seconds: 60 } as const
    expect(await creating.oriel.createConsole({ server_id: 'v1', body: options })).toEqual({ console })
    expect(creating.requests[0]).toMatchObject({ method: 'POST', path: '/oriel/v1/servers/v1/consoles', body: options })
    const invitation = {
      ...{ ...shared, id: 'i1', session_id: 's1', server_id: 'v1', created_by: 'u' },
      created_at: '2026-11-22T00:00:00.000Z',
    }
    await using inviting = await clientOf({ body: { invitation } })
    const body = { role: 'watch', label: 'Bob' } as const
    expect(await inviting.oriel.createInvitation({ session_id: 's1', body })).toEqual({ invitation })
    await using revoking = await clientOf({ status: 202, text: '' })
    expect(await revoking.oriel.revokeInvitation({ session_id: 's1', invitation_id: 'i1' })).toBeNull()
    expect([...inviting.requests, ...revoking.requests].map(({ method, path }) => `${method} ${path}`)).toEqual([
      'POST /oriel/v1/sessions/s1/invitations',
      'DELETE /oriel/v1/sessions/s1/invitations/i1',
    ])
  })

  it('distinguishes a moved console from an unknown token', async () => {
    const fault = (key: string, code: number): Answer => ({ status: code, body: { [key]: { code, message: 'No.' } } })
    await using moved = await clientOf(fault('conflictingRequest', 409))
    await expect(moved.oriel.admitSession(connect)).rejects.toBeInstanceOf(Conflict)
    await using unknown = await clientOf(fault('itemNotFound', 404))
    await expect(unknown.oriel.admitSession(connect)).rejects.toBeInstanceOf(NotFound)
  })

  it('refuses an answer that lacks a member, and one without a body where there must be one', async () => {
    await using lacking = await clientOf({ body: { session: { id: 's1' } } })
    await expect(lacking.oriel.admitSession(connect)).rejects.toBeInstanceOf(AnswerError)
    await using empty = await clientOf({ status: 204, text: '' })
    await expect(empty.oriel.listSessions()).rejects.toBeInstanceOf(AnswerError)
  })

  it('does not show the token in errors', async () => {
    await using client = await clientOf({
      status: 400,
      body: { badRequest: { code: 400, message: `What is ${TOKEN}?` } },
    })
    const error = await client.oriel.admitSession(connect).catch((reason: unknown) => reason)
    expect(String(error)).toContain('***')
    expect(String(error)).not.toContain(TOKEN)
  })

  it('is typed by the contract', () => {
    const { oriel } = createClient({ endpoint: 'http://h', fetch: async () => Response.json({}) })
    const compiled = (_: () => unknown) => {}
    expectTypeOf(oriel.listSessions).returns.resolves.toEqualTypeOf<{ sessions: Session[] }>()
    expectTypeOf(oriel.endSession).returns.resolves.toEqualTypeOf<null>()
    compiled(() => oriel.listSessions())
    // @ts-expect-error which session?
    compiled(() => oriel.endSession())
    // @ts-expect-error no such state
    compiled(() => oriel.listSessions({ query: { state: 'paused' } }))
    // @ts-expect-error no such role
    compiled(() => oriel.createInvitation({ session_id: 's1', body: { role: 'own' } }))
    // @ts-expect-error a type that no API opens
    compiled(() => oriel.createConsole({ server_id: 'v1', body: { type: 'xvpvnc' } }))
    // @ts-expect-error the proxy must say who it is
    compiled(() => oriel.admitSession({ body: { token: TOKEN, client_address: '127.0.0.1' } }))
  })
})
