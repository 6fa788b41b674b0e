/** Sessions of servers that move to another host: what proxies learn, and how the API ends them. */
import { silentLogger } from '@oriel/runtime'
import { describe, expect, test } from 'vitest'
import { startRevoker } from '../../src/console-auth-tokens/revoker.ts'
import { type ServerChange, type Source, SourceError } from '../../src/index.ts'
import { revokeServer } from '../../src/sessions/revoke.ts'
import {
  address,
  type Caller,
  fakeSource,
  OTHER_PROJECT,
  PROJECT,
  SERVER_ID,
  server,
  type TestApi,
  testApi,
} from '../support.ts'
import { capture } from './proxies.ts'
import { newSession } from './store.suite.ts'

const locate = (api: TestApi, id: string, as: Caller = 'service') =>
  api.call('GET', `/oriel/v1/sessions/${id}/console`, { as })
const added = async (api: TestApi) =>
  (await api.deps.sessions.add(newSession({ serverId: SERVER_ID, projectId: PROJECT }))).id

describe('the console of a session', () => {
  test('is at its present address', async () => {
    const source = fakeSource([server()], { console: async () => ({ ...address, host: '10.0.0.6', port: 5999 }) })
    await using api = await testApi({ source })
    const { status, body } = await locate(api, await added(api))
    expect([status, body]).toEqual([200, { console: { moving: false, address: { host: '10.0.0.6', port: 5999 } } }])
  })

  test.each<[string, boolean, Partial<Source>]>([
    ['moving while its server is migrated', true, { find: async () => server({ taskState: 'migrating' }) }],
    ['gone with its server', false, { find: async () => undefined }],
    ['gone if its server has another owner', false, { find: async () => server({ projectId: OTHER_PROJECT }) }],
    ['gone if its server has stopped', false, { find: async () => server({ vmState: 'stopped' }) }],
    ['gone if its server has none', false, { console: () => Promise.reject(new SourceError('ConsoleNotAvailable')) }],
  ])('is %s', async (_, moving, answers) => {
    await using api = await testApi({ source: fakeSource([server()], answers) })
    expect((await locate(api, await added(api))).body).toEqual({ console: { moving, address: null } })
  })

  test('is shown to proxies alone', async () => {
    await using api = await testApi()
    expect((await locate(api, await added(api), 'member')).status).toBe(403)
    expect((await locate(api, 'unknown')).status).toBe(404)
  })

  test("is not shown to another user's proxy", async () => {
    await using api = await testApi()
    const id = await added(api)
    expect((await locate(api, id)).status).toBe(200)
    expect((await locate(api, id, 'admin')).status).toBe(403)
  })
})

describe('a session whose server has moved', () => {
  const follow = (api: TestApi, id: string, as: Caller = 'service') =>
    api.call('POST', `/oriel/v1/sessions/${id}/console`, { as })

  test('goes on at the present address, and is not to be closed because of the move any more', async () => {
    const source = fakeSource([server()], { console: async () => ({ ...address, host: '10.0.0.6', port: 5999 }) })
    const { log, audits } = capture()
    await using api = await testApi({ source, log })
    const id = await added(api)
    await revokeServer(api.deps, SERVER_ID, 'moved')
    expect((await follow(api, id)).body).toEqual({
      console: { moving: false, address: { host: '10.0.0.6', port: 5999 } },
    })
    expect((await api.deps.sessions.find(id))?.endWanted).toBeNull()
    expect(audits()).toMatchObject([{ audit: 'followed', session: id, to: { host: '10.0.0.6', port: 5999 } }])
  })

  test('is to be closed if the server moves again while the source is asked', async () => {
    const asked = Promise.withResolvers<void>()
    const answer = Promise.withResolvers<void>()
    const source = fakeSource([server()], {
      console: async () => {
        asked.resolve()
        await answer.promise
        return address
      },
    })
    await using api = await testApi({ source })
    const id = await added(api)
    await revokeServer(api.deps, SERVER_ID, 'moved')
    const following = follow(api, id)
    await asked.promise
    await revokeServer(api.deps, SERVER_ID, 'moved')
    answer.resolve()
    expect((await following).status).toBe(200)
    expect((await api.deps.sessions.find(id))?.endWanted).toBe('moved')
  })

  test.each<[string, (api: TestApi, id: string) => Promise<unknown>]>([
    ['revoked', (api) => revokeServer(api.deps, SERVER_ID)],
    ['ended by its user', (api, id) => api.deps.sessions.wantEnd(id, 'ended')],
    ['over', (api, id) => api.deps.sessions.end(id, 'client_lost')],
  ])('may not go on once it is %s', async (_, end) => {
    await using api = await testApi()
    const id = await added(api)
    await end(api, id)
    await revokeServer(api.deps, SERVER_ID, 'moved')
    expect((await follow(api, id)).status).toBe(404)
    expect((await api.deps.sessions.find(id))?.endWanted).not.toBeNull()
  })

  test('may not go on if the server has another owner', async () => {
    const source = fakeSource([server()], { find: async () => server({ projectId: OTHER_PROJECT }) })
    const { log, audits } = capture()
    await using api = await testApi({ source, log })
    expect((await follow(api, await added(api))).body).toEqual({ console: { moving: false, address: null } })
    expect(audits()).toEqual([])
  })

  test('goes on for its own proxy alone', async () => {
    await using api = await testApi()
    const id = await added(api)
    expect((await follow(api, id)).status).toBe(200)
    expect((await follow(api, id, 'member')).status).toBe(403)
    expect((await follow(api, id, 'admin')).status).toBe(403)
  })
})

describe('a change of a server', () => {
  /** Reports `kind` while a session is open and another one sleeps. Returns the ends that the open one's proxy gets. */
  async function changed(kind: ServerChange['kind']) {
    const listeners = new Set<(change: ServerChange) => void>()
    const subscribe = (listener: (change: ServerChange) => void) => {
      listeners.add(listener)
      return { [Symbol.dispose]: () => listeners.delete(listener) }
    }
    await using api = await testApi()
    const [open, asleep] = [await added(api), await added(api)]
    const { sessions } = api.deps
    await sessions.end(asleep, 'client_lost')
    const done = Promise.withResolvers<void>()
    const revoke = async (id: string, change: ServerChange['kind']) => {
      const { revoked } = await revokeServer(api.deps, id, change === 'moved' ? 'moved' : 'revoked')
      done.resolve()
      return revoked
    }
    await using _ = startRevoker({ ...fakeSource(), subscribe }, { revokeServer: revoke }, { log: silentLogger() })
    for (const listener of listeners) listener({ serverId: SERVER_ID, kind })
    await done.promise
    const { end } = await sessions.beat(
      'proxy-1',
      { open: [{ id: open, bytesToClient: 0, bytesToConsole: 0 }], ended: [] },
      1,
    )
    const resumable = await Promise.all(
      [open, asleep].map(async (id) => (await sessions.findResumable(id)) !== undefined),
    )
    return { end: end.map(({ reason }) => reason), resumable }
  }

  test('ends sessions as moved, which may be resumed, if the server has moved', async () => {
    expect(await changed('moved')).toEqual({ end: ['moved'], resumable: [true, true] })
  })

  test.each(['stopped', 'gone', 'reassigned'] as const)(
    'ends sessions as revoked, which may not be resumed, if the server is %s',
    async (kind) => {
      expect(await changed(kind)).toEqual({ end: ['revoked'], resumable: [false, false] })
    },
  )
})
