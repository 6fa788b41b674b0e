/** Consoles that serve one connection, which one proxy holds for all of its viewers. */
import { describe, expect, test } from 'vitest'
import type { NewSession } from '../../src/index.ts'
import { type Caller, PROJECT, SERVER_ID, type TestApi, testApi } from '../support.ts'
import { capture } from './proxies.ts'
import { newSession } from './store.suite.ts'

interface Port {
  readonly hold_id: string | null
  readonly ready: boolean
  readonly wait_seconds: number
  readonly held_by: object | null
}

const portsOf = (proxy: string) => `/oriel/v1/proxies/${proxy}/ports`
const hold = (api: TestApi, proxy: string, body: object, as: Caller = 'service') =>
  api.call('POST', portsOf(proxy), { as, body })
const portIn = ({ body }: { readonly body: unknown }) => (body as { port: Port }).port
const beat = async (api: TestApi, proxy: string, ...open: string[]) => {
  const counted = open.map((id) => ({ id, bytes_to_client: 0, bytes_to_console: 0 }))
  return (await api.call('PUT', `/oriel/v1/proxies/${proxy}`, { as: 'service', body: { open: counted, ended: [] } }))
    .body
}

async function added(api: TestApi, proxyId: string, changes: Partial<NewSession> = {}): Promise<string> {
  const serial = { protocol: 'serial', type: 'serial', serverId: SERVER_ID, projectId: PROJECT } as const
  return (await api.deps.sessions.add(newSession({ ...serial, proxyId, ...changes }))).id
}

describe('holding a port', () => {
  test('says who holds it to another proxy, which may take it over', async () => {
    const { log, audits } = capture()
    await using api = await testApi({ log })
    const [first, second] = [await added(api, 'one', { label: 'Zoë' }), await added(api, 'two')]
    const held = portIn(await hold(api, 'one', { session_id: first }))
    expect(held).toEqual({ hold_id: expect.any(String), ready: true, wait_seconds: 0, held_by: null })
    const since = expect.stringMatching(/^\d{4}-.*Z$/)
    const session = { id: first, user_id: 'alice', role: 'control', label: 'Zoë', started_at: since }
    expect(portIn(await hold(api, 'two', { session_id: second }))).toEqual({
      ...{ hold_id: null, ready: false, wait_seconds: 0 },
      held_by: { proxy_id: 'one', since, sessions: [session] },
    })
    const taken = portIn(await hold(api, 'two', { session_id: second, take_over: true }))
    expect(taken).toEqual({ hold_id: expect.any(String), ready: false, wait_seconds: 20, held_by: null })
    expect(audits()).toContainEqual(
      expect.objectContaining({ audit: 'taken-over', session: second, from: 'one', ending: [first] }),
    )
    expect(await beat(api, 'two', second)).toEqual({
      beat_seconds: 5,
      end: [],
      takes_control: true,
      shares_consoles: true,
    })
    expect(await beat(api, 'one', first)).toEqual({
      ...{ beat_seconds: 5, takes_control: true, shares_consoles: true, end: [{ id: first, reason: 'taken_over' }] },
      release: [held.hold_id],
    })
    const path = `${portsOf('two')}/${taken.hold_id}`
    expect(portIn(await api.call('GET', path, { as: 'service' })).ready).toBe(false)
    const released = await api.call('DELETE', `${portsOf('one')}/${held.hold_id}`, { as: 'service' })
    expect(released.status).toBe(204)
    expect(portIn(await api.call('GET', path, { as: 'service' }))).toMatchObject({ ready: true, wait_seconds: 0 })
  })

  test('is refused to a watcher that takes it over', async () => {
    await using api = await testApi()
    await hold(api, 'one', { session_id: await added(api, 'one') })
    const watcher = await added(api, 'two', { role: 'watch' })
    expect((await hold(api, 'two', { session_id: watcher, take_over: true })).status).toBe(403)
    expect((await hold(api, 'two', { session_id: watcher, exclusive: true })).status).toBe(403)
    expect(portIn(await hold(api, 'two', { session_id: watcher })).hold_id).toBeNull()
  })

  test('is refused for a session that is unknown, over, or at another proxy', async () => {
    await using api = await testApi()
    const over = await added(api, 'one')
    await api.deps.sessions.end(over, 'client_closed')
    for (const session_id of ['unknown', over, await added(api, 'two')])
      expect((await hold(api, 'one', { session_id })).status).toBe(409)
  })

  test('needs no session for a proxy that stays connected', async () => {
    await using api = await testApi()
    const body = { server_id: SERVER_ID, type: 'serial' }
    expect(portIn(await hold(api, 'one', body))).toMatchObject({ ready: true })
    expect(portIn(await hold(api, 'two', { session_id: await added(api, 'two') }))).toMatchObject({ ready: false })
  })

  test("is for proxies, and not for other users' proxies", async () => {
    await using api = await testApi()
    const session_id = await added(api, 'one')
    expect((await hold(api, 'one', { session_id }, 'member')).status).toBe(403)
    const { hold_id } = portIn(await hold(api, 'one', { session_id }))
    const path = `${portsOf('one')}/${hold_id}`
    expect((await hold(api, 'one', { session_id }, 'otherService')).status).toBe(403)
    const group = (as: Caller) => api.call('PUT', '/oriel/v1/proxies/one/group', { as, body: { group: 'g' } })
    expect([(await group('otherService')).status, (await group('service')).status]).toEqual([403, 204])
    for (const method of ['GET', 'DELETE'])
      expect((await api.call(method, path, { as: 'otherService' })).status).toBe(403)
    expect((await api.call('GET', path, { as: 'service' })).status).toBe(200)
  })

  test('ends with its release, which a proxy may repeat', async () => {
    await using api = await testApi()
    const { hold_id } = portIn(await hold(api, 'one', { session_id: await added(api, 'one') }))
    const path = `${portsOf('one')}/${hold_id}`
    for (let i = 0; i < 2; i += 1) expect((await api.call('DELETE', path, { as: 'service' })).status).toBe(204)
    expect((await api.call('GET', path, { as: 'service' })).status).toBe(409)
  })
})
