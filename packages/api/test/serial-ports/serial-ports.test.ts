/** The routes by which proxies learn which serial ports they hold. */
import { describe, expect, test } from 'vitest'
import { combineSources, openStores, type SerialPort, type Source, SourceError } from '../../src/index.ts'
import { newSession } from '../sessions/store.suite.ts'
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

const path = (proxy = 'proxy-1') => `/oriel/v1/proxies/${proxy}/serial-ports`
const wait = (api: TestApi, body: object = {}, proxy?: string, as: Caller = 'service') =>
  api.call('POST', path(proxy), { as, body })
const confirm = (api: TestApi, proxy?: string) => api.call('GET', `${path(proxy)}/${SERVER_ID}`, { as: 'service' })
const versionOf = ({ body }: { readonly body: unknown }) => (body as { version: string }).version
const portsOf = ({ body }: { readonly body: unknown }) => (body as { serial_ports: object[] }).serial_ports

const serial = (changes: Parameters<typeof server>[0] = {}): SerialPort => ({ server: server(changes), address })
const document = {
  ...{ server_id: SERVER_ID, server_name: 'web-1', project_id: PROJECT },
  ...{ host: address.host, port: address.port },
}

/** A source whose serial ports a test changes. */
function changing(...first: SerialPort[]) {
  let ports: readonly SerialPort[] = first
  const listeners = new Set<() => void>()
  const source: Source = fakeSource([server()], {
    serialPorts: async () => ports,
    onSerialPorts: (listener) => {
      listeners.add(listener)
      return { [Symbol.dispose]: () => listeners.delete(listener) }
    },
  })
  const change = (...next: SerialPort[]) => {
    ports = next
    for (const listener of listeners) listener()
  }
  return { source, change, listeners }
}

describe('the serial ports of a proxy', () => {
  test('are those of the servers that run, sorted', async () => {
    const { source } = changing(serial({ id: 'z' }), serial())
    await using api = await testApi({ source })
    const { status, body } = await wait(api)
    const other = { ...document, server_id: 'z' }
    expect([status, body]).toEqual([
      200,
      { version: expect.any(String), serial_ports: [document, other], wanted_logs: [] },
    ])
  })

  test('are none for a source that knows none', async () => {
    await using api = await testApi()
    expect(portsOf(await wait(api))).toEqual([])
  })

  test.each<[string, SerialPort[]]>([
    ['a server starts', [serial(), serial({ id: 'z' })]],
    ['the server stops', []],
    ['the server has another owner', [serial({ projectId: OTHER_PROJECT })]],
    ['the server has another address', [{ server: server(), address: { host: '10.0.0.6', port: 1 } }]],
  ])('are answered as soon as %s', async (_, next) => {
    const { source, change, listeners } = changing(serial())
    await using api = await testApi({ source, replicaPollMs: 600_000 })
    const version = versionOf(await wait(api))
    const waiting = wait(api, { version, wait_seconds: 25 })
    await expect.poll(() => listeners.size).toBe(1)
    change(serial())
    change(...next)
    const answer = await waiting
    expect(versionOf(answer)).not.toBe(version)
    expect(portsOf(answer)).toHaveLength(next.length)
    expect(listeners.size).toBe(0)
  })

  test('are answered unchanged once the wait is over', async () => {
    await using api = await testApi({ source: changing(serial()).source })
    const first = await wait(api)
    expect((await wait(api, { version: versionOf(first), wait_seconds: 0 })).body).toEqual(first.body)
  })

  test('are answered when the API is about to stop', async () => {
    const { source } = changing(serial())
    let draining = false
    await using api = await testApi({ source, draining: () => draining, replicaPollMs: 1 })
    const version = versionOf(await wait(api))
    const waiting = wait(api, { version, wait_seconds: 25 })
    draining = true
    expect(versionOf(await waiting)).toBe(version)
  })

  test('are divided among proxies, and move to one that stays, by another replica of the API too', async () => {
    const ports = Array.from({ length: 20 }, (_, i) => serial({ id: `server-${i}` }))
    const { source } = changing(...ports)
    await using stores = await openStores('sqlite::memory:')
    const { tokens, sessions, invitations, serialPorts } = stores
    const shared = { source, tokens, sessions, invitations, serialPorts, replicaPollMs: 1 }
    await using one = await testApi(shared)
    await using other = await testApi(shared)
    const alone = await wait(one, {}, 'a')
    expect(portsOf(alone)).toHaveLength(20)
    const waiting = wait(one, { version: versionOf(alone), wait_seconds: 25 }, 'a')
    const ofB = portsOf(await wait(other, {}, 'b'))
    const ofA = await waiting
    expect(new Set([...portsOf(ofA), ...ofB].map((port) => JSON.stringify(port))).size).toBe(20)
    expect(ofB.length).toBeGreaterThan(0)
    const again = wait(one, { version: versionOf(ofA), wait_seconds: 25 }, 'a')
    expect((await other.call('DELETE', path('b'), { as: 'service' })).status).toBe(204)
    expect(portsOf(await again)).toHaveLength(20)
  })

  test('exclude one that a proxy without standing ports has open', async () => {
    await using api = await testApi({ source: changing(serial()).source })
    const view = {
      serverId: SERVER_ID,
      projectId: PROJECT,
      protocol: 'serial',
      type: 'serial',
      proxyId: 'other',
    } as const
    const { id } = await api.deps.sessions.add(newSession(view))
    expect(portsOf(await wait(api))).toEqual([])
    expect((await confirm(api)).status).toBe(404)
    await api.deps.sessions.end(id, 'client_closed')
    expect(portsOf(await wait(api))).toEqual([document])
  })

  test('are shown to proxies alone, and to each under its own id', async () => {
    await using api = await testApi({ source: changing(serial()).source })
    expect((await wait(api, {}, 'proxy-1', 'member')).status).toBe(403)
    expect((await wait(api)).status).toBe(200)
    expect((await wait(api, {}, 'proxy-1', 'otherService')).status).toBe(403)
    expect((await api.call('DELETE', path(), { as: 'otherService' })).status).toBe(403)
    expect((await api.call('GET', `${path()}/${SERVER_ID}`, { as: 'otherService' })).status).toBe(403)
  })

  test('belong to the source that has the server', async () => {
    const both = combineSources([
      fakeSource([server()]),
      fakeSource([server({ createdAt: 1 }), server({ id: 'z' })], {
        serialPorts: async () => [serial(), serial({ id: 'z' })],
      }),
    ])
    expect((await both.serialPorts!()).map((port) => port.server.id)).toEqual(['z'])
  })
})

describe('the confirmation of a serial port', () => {
  test('has the address at which the hypervisor has it now', async () => {
    const { source } = changing(serial())
    await using api = await testApi({ source: { ...source, console: async () => ({ host: '10.0.0.7', port: 7 }) } })
    await wait(api)
    const { status, body } = await confirm(api)
    expect([status, body]).toEqual([200, { serial_port: { ...document, host: '10.0.0.7', port: 7 } }])
  })

  test.each<[string, Partial<Source>]>([
    ['is gone', { find: async () => undefined }],
    ['has stopped', { find: async () => server({ vmState: 'stopped' }) }],
    ['has no serial console', { console: () => Promise.reject(new SourceError('ConsoleTypeUnavailable')) }],
  ])('is refused if the server %s', async (_, changes) => {
    const { source } = changing(serial())
    await using api = await testApi({ source: { ...source, ...changes } })
    await wait(api)
    expect((await confirm(api)).status).toBe(404)
  })

  test('is refused to a proxy that does not hold the port', async () => {
    await using api = await testApi({ source: changing(serial()).source })
    expect((await confirm(api)).status).toBe(404)
  })
})
