/** The routes by which proxies share consoles. */
import { describe, expect, test } from 'vitest'
import { type NewSession, openStores } from '../../src/index.ts'
import { type Caller, consolesPath, PROJECT, remoteConsole, SERVER_ID, type TestApi, testApi } from '../support.ts'
import { controlStoreSuite } from './control-store.suite.ts'
import { newSession } from './store.suite.ts'

controlStoreSuite('SQLite in memory', (now) => openStores('sqlite::memory:', { now }))

interface Shared {
  readonly participants: readonly { readonly id: string }[]
  readonly held_by: string | null
  readonly ready: boolean
}
interface State {
  readonly version: string
  readonly consoles: readonly Shared[]
}

const pathOf = (proxy: string) => `/oriel/v1/proxies/${proxy}`
const wait = async (api: TestApi, proxy: string, body: object = {}) =>
  (await api.call('POST', `${pathOf(proxy)}/shared-consoles`, { as: 'service', body })).body as State
const move = (api: TestApi, proxy: string, body: object, as: Caller = 'service') =>
  api.call('POST', `${pathOf(proxy)}/control`, { as, body })
const consoleIn = ({ body }: { readonly body: unknown }) => (body as { console: Shared }).console
const beat = async (api: TestApi, proxy: string, ...open: string[]) => {
  const counted = open.map((id) => ({ id, bytes_to_client: 0, bytes_to_console: 0 }))
  return (await api.call('PUT', pathOf(proxy), { as: 'service', body: { open: counted, ended: [] } })).body
}

async function added(api: TestApi, proxyId: string, changes: Partial<NewSession> = {}): Promise<string> {
  return (await api.deps.sessions.add(newSession({ serverId: SERVER_ID, projectId: PROJECT, proxyId, ...changes }))).id
}

describe('a console that two proxies have open', () => {
  test('is shown to each, with the people at the other', async () => {
    await using api = await testApi()
    const first = await added(api, 'one', { label: 'Zoë' })
    expect(await beat(api, 'one', first)).not.toHaveProperty('shares_consoles')
    const second = await added(api, 'two', { role: 'watch', invitationId: 'invitation-1' })
    expect(await beat(api, 'one', first)).toMatchObject({ shares_consoles: true })
    const since = expect.stringMatching(/^\d{4}-.*Z$/)
    const shared = { server_id: SERVER_ID, type: 'novnc', revision: 0, held_by: null, ready: true, requested_by: [] }
    expect(await wait(api, 'one')).toEqual({
      version: expect.any(String),
      consoles: [{ ...shared, participants: [{ id: second, role: 'watch', label: null, since, invited: true }] }],
    })
    expect((await wait(api, 'two')).consoles).toEqual([
      { ...shared, participants: [{ id: first, role: 'control', label: 'Zoë', since }] },
    ])
  })

  test('is shown to the second with the admission of its session', async () => {
    await using api = await testApi()
    const admit = async (proxy_id: string) => {
      const created = await api.call('POST', consolesPath(), { version: '2.6', body: remoteConsole('vnc', 'novnc') })
      const { url } = (created.body as { remote_console: { url: string } }).remote_console
      const token = new URLSearchParams(new URL(url).searchParams.get('path')!.slice(1)).get('token')
      const body = { token, proxy_id, client_address: '192.0.2.7' }
      const { body: answer } = await api.call('POST', '/oriel/v1/sessions', { as: 'service', body })
      return (answer as { session: { id: string; console: { shared?: Shared } } }).session
    }
    const first = await admit('one')
    expect(first.console).not.toHaveProperty('shared')
    await move(api, 'one', { session_id: first.id, from: null, to: first.id })
    expect((await admit('two')).console.shared).toMatchObject({
      ...{ participants: [{ id: first.id }], held_by: first.id, ready: true },
    })
    expect((await admit('one')).console.shared).toMatchObject({ held_by: first.id })
  })

  test('gives control to a session once the proxy of the session that lost it confirms that', async () => {
    await using api = await testApi({ replicaPollMs: 60_000 })
    const [first, second] = [await added(api, 'one'), await added(api, 'two')]
    await move(api, 'one', { session_id: first, from: null, to: first })
    const [atOne, atTwo] = [await wait(api, 'one'), await wait(api, 'two')]
    const [toldOne, toldTwo] = [atOne, atTwo].map(({ version }) => ({ version, wait_seconds: 25 }))
    const changeAtOne = wait(api, 'one', toldOne!)
    const changeAtTwo = wait(api, 'two', toldTwo!)
    const moved = consoleIn(await move(api, 'two', { session_id: second, from: first, to: second }))
    expect(moved).toMatchObject({ held_by: second, ready: false })
    const [lost, got] = [await changeAtOne, await changeAtTwo]
    expect([lost, got].map(({ consoles }) => consoles[0]!.held_by)).toEqual([second, second])
    expect(got.consoles[0]!.ready).toBe(false)
    const isReady = wait(api, 'two', { version: got.version, wait_seconds: 25 })
    void wait(api, 'one', { version: lost.version, wait_seconds: 25 })
    expect((await isReady).consoles[0]).toMatchObject({ held_by: second, ready: true })
  })

  test('is returned at once after a change during the first look', async () => {
    await using api = await testApi({ replicaPollMs: 60_000 })
    const [first] = [await added(api, 'one'), await added(api, 'two')]
    const { version } = await wait(api, 'two')
    const { control } = api.deps
    const [looking, looked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const shared = control.shared.bind(control)
    control.shared = async (...of) => {
      const consoles = await shared(...of)
      looking.resolve()
      await looked.promise
      return consoles
    }
    const change = wait(api, 'two', { version, wait_seconds: 25 })
    await looking.promise
    await move(api, 'one', { session_id: first, from: null, to: first })
    looked.resolve()
    expect((await change).consoles[0]).toMatchObject({ held_by: first })
  }, 15_000)

  test('shows a change that another replica of the API made', async () => {
    await using api = await testApi({ replicaPollMs: 1 })
    const [first] = [await added(api, 'one'), await added(api, 'two')]
    const { version } = await wait(api, 'two')
    const change = wait(api, 'two', { version, wait_seconds: 25 })
    const session = (await api.deps.sessions.find(first))!
    await api.deps.control.move({ session, from: null, to: first })
    expect((await change).consoles[0]).toMatchObject({ held_by: first })
  })

  test('is looked at often while another replica may get the confirmation of lost control', async () => {
    await using api = await testApi({ replicaPollMs: 60_000 })
    const [first, second] = [await added(api, 'one'), await added(api, 'two')]
    await move(api, 'one', { session_id: first, from: null, to: first })
    await move(api, 'two', { session_id: second, from: first, to: second })
    const { version, consoles } = await wait(api, 'two')
    expect(consoles[0]).toMatchObject({ held_by: second, ready: false })
    const isReady = wait(api, 'two', { version, wait_seconds: 25 })
    const { control } = api.deps
    await control.applied('one', await control.shared('one', 60_000))
    expect((await isReady).consoles[0]).toMatchObject({ held_by: second, ready: true })
  }, 15_000)

  test('shows requests for control', async () => {
    await using api = await testApi()
    const [first, second] = [await added(api, 'one'), await added(api, 'two')]
    await move(api, 'one', { session_id: first, from: null, to: first })
    expect(consoleIn(await move(api, 'two', { session_id: second, requests: true }))).toMatchObject({
      requested_by: [second],
    })
    expect((await wait(api, 'one')).consoles[0]).toMatchObject({ requested_by: [second] })
    expect(consoleIn(await move(api, 'two', { session_id: second, requests: false }))).toMatchObject({
      requested_by: [],
    })
  })

  test('refuses a watcher that takes control, and a session at another proxy', async () => {
    await using api = await testApi()
    const [first, watcher] = [await added(api, 'one'), await added(api, 'two', { role: 'watch' })]
    expect((await move(api, 'two', { session_id: watcher, from: null, to: watcher })).status).toBe(403)
    expect((await move(api, 'two', { session_id: first, from: null, to: first })).status).toBe(409)
    expect((await move(api, 'one', { session_id: first, from: null, to: first }, 'member')).status).toBe(403)
    expect(consoleIn(await move(api, 'one', { session_id: first, from: null, to: watcher }))).toMatchObject({
      held_by: watcher,
    })
    expect((await move(api, 'one', { session_id: first, from: null, to: first }, 'otherService')).status).toBe(403)
  })
})
