/** The answers to a client while its server's hypervisor does not answer. */
import { request } from 'node:http'
import { join } from 'node:path'
import { createLogger, silentLogger } from '@oriel/runtime'
import { describe, expect, test } from 'vitest'
import {
  type Authenticator,
  AuthUnavailable,
  createApi,
  createLibvirtSource,
  createQemuSource,
  type Source,
  SourceUnavailable,
} from '../../src/index.ts'
import { listen } from '../../src/listen.ts'
import type { SourceConfig } from '../../src/sources/config.ts'
import {
  type Answer,
  actionPath,
  configOf,
  consolesPath,
  fakeAuthenticator,
  fakeSource,
  PROJECT,
  remoteConsole,
  SERVER_ID,
  type TestApi,
  testApi,
} from '../support.ts'
import { domainXmlOf, fakeVirsh } from './libvirt/fake-virsh.ts'
import { fakeQemu, SILENCE, socketFolder } from './qemu/fake-qmp.ts'

const away = {
  status: 503,
  fault: { key: 'serviceUnavailable', message: 'The hypervisor does not answer. Try again in a moment.' },
}
const vnc = (api: TestApi) => api.call('POST', consolesPath(), { version: '2.6', body: remoteConsole('vnc', 'novnc') })
const legacyVnc = (api: TestApi) => api.call('POST', actionPath(), { body: { 'os-getVNCConsole': { type: 'novnc' } } })
const log = silentLogger()

function expectAway(answer: Answer): void {
  expect(answer).toMatchObject(away)
  expect(answer.headers.get('Retry-After')).toBe('5')
}

/** Answers have long enough to come, where any come. */
function sourceConfig<Kind extends SourceConfig['kind']>(kind: Kind, keys: string) {
  const common = `project_id = "${PROJECT}"\npoll_seconds = 3600\nanswer_timeout_ms = 5000`
  const [config] = configOf(`[[sources]]\nkind = "${kind}"\n${common}\n${keys}`).sources
  return config as Extract<SourceConfig, { kind: Kind }>
}

test('a guest that hangs has its last known state, and its consoles respond 503', async () => {
  await using folder = await socketFolder()
  await using qemu = await fakeQemu(join(folder.path, 'a.qmp'))
  await using source = await createQemuSource(sourceConfig('qemu', `qmp = "${folder.path}/*.qmp"\nhost = "10.0.0.5"`), {
    log,
  })
  await using api = await testApi({ source })
  expect((await vnc(api)).status).toBe(200)
  qemu.answers['query-status'] = SILENCE
  expectAway(await vnc(api))
  expectAway(await legacyVnc(api))
  expect((await api.call('GET', `/v2.1/servers/${SERVER_ID}`)).body).toMatchObject({ server: { status: 'ACTIVE' } })
})

test.each([
  ['hangs', (virsh: Awaited<ReturnType<typeof fakeVirsh>>) => virsh.hang(true)],
  ['is away', (virsh: Awaited<ReturnType<typeof fakeVirsh>>) => virsh.fail('error: failed to connect')],
])('a libvirtd that %s causes a 503', async (_, silence) => {
  await using virsh = await fakeVirsh()
  const graphics = "<graphics type='vnc' port='5900' listen='0.0.0.0'/>"
  const domain = { uuid: SERVER_ID, name: 'a', runId: 1, state: 1, xml: domainXmlOf(SERVER_ID, graphics) }
  await virsh.domains(domain)
  const config = { ...sourceConfig('libvirt', 'uri = "qemu:///system"'), answer_timeout_ms: 30_000 }
  await using source = await createLibvirtSource(config, { log, program: virsh.program })
  const limits = { ...configOf().limits, source_timeout_seconds: 1 }
  await using api = await testApi({ source, config: { ...configOf(), limits } })
  await silence(virsh)
  expectAway(await vnc(api))
})

describe('a source that does not respond in time', () => {
  const never = () => new Promise<never>(() => {})
  /** Looks at the signal, and fails with an error of its own. */
  const aborted = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('killed')))
    })

  test.each<[string, Partial<Source>, (api: TestApi) => Promise<Answer>]>([
    ['a console', { console: never }, vnc],
    ['a console by action', { console: never }, legacyVnc],
    ['a console that is given up', { console: (_server, _protocol, _type, call) => aborted(call!.signal!) }, vnc],
    ['the server of a console', { find: never }, vnc],
    ['a server', { find: never }, (api) => api.call('GET', `/v2.1/servers/${SERVER_ID}`)],
    ['all servers', { list: never }, (api) => api.call('GET', '/v2.1/servers')],
    [
      'a console log',
      { output: never },
      (api) => api.call('POST', actionPath(), { body: { 'os-getConsoleOutput': {} } }),
    ],
  ])('causes a 503 and no hang: %s', async (_, silence, ask) => {
    const limits = { ...configOf().limits, source_timeout_seconds: 0.05 }
    await using api = await testApi({
      source: fakeSource(undefined, silence),
      config: { ...configOf(), limits },
    })
    expectAway(await ask(api))
  })

  test('does not lead to the revocation of a token that is shown meanwhile', async () => {
    const source = fakeSource()
    await using api = await testApi({ source })
    const { body } = await vnc(api)
    const token = (body as { remote_console: { url: string } }).remote_console.url.slice(-36)
    const admission = { as: 'service', body: { token, proxy_id: 'p', client_address: '192.0.2.1' } } as const
    const admit = () => api.call('POST', '/oriel/v1/sessions', admission)
    for (const asked of ['find', 'console'] as const) {
      Object.assign(source, { [asked]: () => Promise.reject(new SourceUnavailable('away')) })
      expectAway(await admit())
      Object.assign(source, fakeSource())
    }
    expect((await admit()).status).toBe(200)
  })
})

test('a client that disconnects stops the wait for its identity', async () => {
  const gone = new AbortController()
  const authenticate: Authenticator['authenticate'] = ({ signal }) =>
    new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(new AuthUnavailable('nobody waits')))
      gone.abort()
    })
  await using api = await testApi({ authenticator: { ...fakeAuthenticator, authenticate } })
  const asked = new Request('http://api.example/v2.1/servers', { signal: gone.signal })
  expect((await createApi(api.deps).request(asked)).status).toBe(499)
})

test('a client that disconnects is not logged as an error', async () => {
  const asked = Promise.withResolvers<void>()
  const logged = Promise.withResolvers<Record<string, unknown>>()
  const write = (line: string) => {
    const record = JSON.parse(line) as Record<string, unknown>
    if (record.status !== undefined || record.level === 'error') logged.resolve(record)
  }
  const source = fakeSource(undefined, {
    list: () => {
      asked.resolve()
      return new Promise(() => {})
    },
  })
  await using api = await testApi({
    source,
    log: createLogger({ name: 'test', level: 'trace', destination: { write } }),
  })
  const times = { headerTimeoutMs: 60_000, requestTimeoutMs: 60_000, drainMs: 0 }
  await using listener = await listen(createApi(api.deps).fetch, { listen: '127.0.0.1:0', ...times, log })
  const waiting = request(`http://${listener.address}/v2.1/servers`, { headers: { 'X-Auth-Token': 'member' } })
  waiting.on('error', () => {}).end()
  await asked.promise
  waiting.destroy()
  expect(await logged.promise).toMatchObject({ level: 'info', msg: 'request', status: 499 })
})
