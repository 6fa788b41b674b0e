/** os-getConsoleOutput of servers whose source has no log: the proxy that holds the serial port has it. */
import { expect, test } from 'vitest'
import { openStores, type Source, SourceError } from '../../src/index.ts'
import { actionPath, address, fakeSource, SERVER_ID, server, type TestApi, testApi } from '../support.ts'

const PORTS = '/oriel/v1/proxies/proxy-1/serial-ports'
const serialPorts: Source['serialPorts'] = async () => [{ server: server(), address }]
const { output: _, ...withoutLog } = fakeSource([server()], { serialPorts })
const output = (api: TestApi, length?: number) =>
  api.call('POST', actionPath(), { body: { 'os-getConsoleOutput': length === undefined ? {} : { length } } })

interface Answer {
  readonly version: string
  readonly wanted_logs: readonly { readonly server_id: string; readonly ask_id: string }[]
}
const wait = async (api: TestApi, version?: string) => {
  const body = version === undefined ? {} : { version, wait_seconds: 25 }
  return (await api.call('POST', PORTS, { as: 'service', body })).body as Answer
}
const report = (api: TestApi, ask_id: string, text: string, as: 'service' | 'otherService' = 'service') =>
  api.call('PUT', `${PORTS}/${SERVER_ID}/log`, { as, body: { ask_id, log: btoa(text) } })

/** Waits as the proxy does until its output is wanted, and reports it. */
async function reports(api: TestApi, text: string, version: string) {
  const { wanted_logs } = await wait(api, version)
  expect(wanted_logs).toEqual([{ server_id: SERVER_ID, ask_id: expect.any(String) }])
  expect((await report(api, wanted_logs[0]!.ask_id, text)).status).toBe(204)
}

test.each<[string, Partial<Source>]>([
  ['cannot read logs', {}],
  ['has none', { output: () => Promise.reject(new SourceError('ConsoleNotAvailable')) }],
])('a source that %s leaves the output to the proxy, whose last lines are returned', async (_, changes) => {
  await using api = await testApi({ source: { ...withoutLog, ...changes }, replicaPollMs: 600_000 })
  const { version } = await wait(api)
  const asked = output(api, 2)
  await reports(api, 'one\r\ntwo\r\n\x1b[0mthree', version)
  expect((await asked).body).toEqual({ output: 'two\n[0mthree' })
})

test('the output comes by way of another replica of the API, and concurrent callers get it too', async () => {
  await using stores = await openStores('sqlite::memory:')
  const { tokens, sessions, invitations, ports, control, serialPorts: store } = stores
  const shared = {
    ...{ source: withoutLog, tokens, sessions, invitations, ports, control, serialPorts: store },
    replicaPollMs: 1,
  }
  await using one = await testApi(shared)
  await using other = await testApi(shared)
  let { version } = await wait(one)
  const asked = Promise.all([output(other), output(other), output(one)])
  const answered = asked.then(() => undefined)
  for (;;) {
    // The proxy's last request still waits for a question.
    const next = await Promise.race([wait(one, version), answered])
    if (!next) break
    version = next.version
    for (const { ask_id } of next.wanted_logs) await report(one, ask_id, 'hello')
  }
  expect((await asked).map(({ body }) => body)).toEqual(Array(3).fill({ output: 'hello' }))
})

test('the log of a source takes precedence', async () => {
  await using api = await testApi({ source: { ...withoutLog, output: async () => 'own' } })
  await wait(api)
  expect((await output(api)).body).toEqual({ output: 'own' })
})

test.each<[string, Partial<Source>, boolean]>([
  ['no proxy holds ports', {}, false],
  ['the server does not run', { serialPorts: async () => [] }, true],
])('the answer is that of the source at once if %s', async (_, changes, stands) => {
  await using api = await testApi({ source: { ...withoutLog, ...changes }, serialLogMs: 600_000 })
  if (stands) await wait(api)
  expect((await output(api)).status).toBe(501)
})

test('the answer is that of the source if the proxy does not report in time', async () => {
  await using api = await testApi({ source: withoutLog, serialLogMs: 1 })
  await wait(api)
  expect((await output(api)).status).toBe(501)
})

test('a proxy reports only output that is wanted, and that of its own ports', async () => {
  await using api = await testApi({ source: withoutLog })
  const { version } = await wait(api)
  expect((await report(api, 'none', 'x')).status).toBe(404)
  const asked = output(api)
  const { wanted_logs } = await wait(api, version)
  const { ask_id } = wanted_logs[0]!
  expect((await report(api, ask_id, 'forged', 'otherService')).status).toBe(403)
  const elsewhere = `/oriel/v1/proxies/proxy-2/serial-ports/${SERVER_ID}/log`
  const forged = { as: 'otherService', body: { ask_id, log: btoa('forged') } } as const
  expect((await api.call('PUT', elsewhere, forged)).status).toBe(404)
  await report(api, ask_id, 'true')
  expect((await asked).body).toEqual({ output: 'true' })
  expect((await report(api, ask_id, 'again')).status).toBe(404)
})
