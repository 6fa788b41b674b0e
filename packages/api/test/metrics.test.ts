/** The API's metrics: what counts, the bounds of their labels, and the listener that serves them. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { loadConfig, silentLogger } from '@oriel/runtime'
import { describe, expect, it } from 'vitest'
import { createKeystoneAuthenticator } from '../src/auth/keystone.ts'
import {
  ApiConfig,
  combineSources,
  createApiMetrics,
  openStores,
  refineApiConfig,
  SourceUnavailable,
  startApi,
} from '../src/index.ts'
import { actionPath, consolesPath, fakeSource, remoteConsole, SERVER_ID, testApi, tokenPath } from './support.ts'

type Metrics = ReturnType<typeof createApiMetrics>

/** The samples of one metric, as `{labels} value`. */
async function samples({ registry }: Metrics, name: string): Promise<string[]> {
  const lines = (await registry.metrics()).split('\n')
  return lines.filter((line) => line.startsWith(`${name}{`)).map((line) => line.slice(name.length))
}

const novnc = remoteConsole('vnc', 'novnc')

describe('requests', () => {
  it('count by the template of their route, with and without a project in the path', async () => {
    const metrics = createApiMetrics()
    await using api = await testApi({ metrics })
    await api.call('GET', `/v2.1/servers/${SERVER_ID}`)
    await api.call('GET', `/v2.1/${'1'.repeat(32)}/servers/${SERVER_ID}`)
    await api.call('GET', '/v2.1/servers/detail')
    await api.call('POST', consolesPath(), { version: '2.6', body: novnc })
    await api.call('GET', '/oriel/v1/sources', { as: 'admin' })
    expect(await samples(metrics, 'oriel_api_requests_total')).toEqual([
      '{method="GET",route="/v2.1/servers/{server_id}",status="200"} 2',
      '{method="GET",route="/v2.1/servers/detail",status="200"} 1',
      '{method="POST",route="/v2.1/servers/{server_id}/remote-consoles",status="200"} 1',
      '{method="GET",route="/oriel/v1/sources",status="200"} 1',
    ])
  })

  it('count under their route also when a step before the route refuses them', async () => {
    const metrics = createApiMetrics()
    await using api = await testApi({ metrics })
    await api.call('POST', consolesPath(), { as: 'nobody' as never })
    expect(await samples(metrics, 'oriel_api_requests_total')).toEqual([
      '{method="POST",route="/v2.1/servers/{server_id}/remote-consoles",status="401"} 1',
    ])
  })

  it('add no labels, whatever paths and methods a client invents', async () => {
    const metrics = createApiMetrics()
    await using api = await testApi({ metrics })
    for (const path of ['/wp-login.php', '/v2.1/no-such', '/oriel/v1/x', '/%00', `/v2.1/servers/${SERVER_ID}/tags`])
      await api.call('GET', path)
    await api.call('PURGE', '/v2.1/servers')
    await api.call('MKCOL', '/a')
    expect(await samples(metrics, 'oriel_api_requests_total')).toEqual([
      '{method="GET",route="other",status="404"} 5',
      '{method="other",route="other",status="404"} 2',
    ])
    expect(await samples(metrics, 'oriel_api_request_seconds_count')).toEqual([
      '{method="GET",route="other"} 5',
      '{method="other",route="other"} 2',
    ])
  })
})

describe('consoles and tokens', () => {
  it('count a created console by type and role, of the old actions too', async () => {
    const metrics = createApiMetrics()
    await using api = await testApi({ metrics })
    await api.call('POST', consolesPath(), { version: '2.6', body: novnc })
    await api.call('POST', consolesPath(), { version: '2.6', body: remoteConsole('serial', 'serial') })
    await api.call('POST', actionPath(), { body: { 'os-getVNCConsole': { type: 'novnc' } } })
    await api.call('POST', consolesPath('b'.repeat(8)), { version: '2.6', body: novnc })
    expect(await samples(metrics, 'oriel_api_consoles_created_total')).toEqual([
      '{type="novnc",role="control"} 2',
      '{type="serial",role="control"} 1',
    ])
  })

  it('count a look-up by its result', async () => {
    const metrics = createApiMetrics()
    await using api = await testApi({ metrics })
    const created = await api.call('POST', consolesPath(), { version: '2.6', body: novnc })
    const { url } = (created.body as { remote_console: { url: string } }).remote_console
    const lookUp = (token: string, as: 'admin' | 'reader') => api.call('GET', tokenPath(token), { as, version: '2.99' })
    await lookUp(/token(?:=|%3D)([\da-f-]{36})/.exec(url)![1]!, 'admin')
    await lookUp('unknown', 'admin')
    await lookUp('unknown', 'reader')
    expect(await samples(metrics, 'oriel_api_token_lookups_total')).toEqual([
      '{result="found"} 1',
      '{result="unknown"} 1',
      '{result="refused"} 1',
    ])
  })

  it('count a look-up that the store cannot answer as unavailable', async () => {
    const metrics = createApiMetrics()
    await using api = await testApi({ metrics })
    await api.deps.tokens[Symbol.asyncDispose]()
    await api.call('GET', tokenPath('any'), { as: 'admin', version: '2.99' })
    expect(await samples(metrics, 'oriel_api_token_lookups_total')).toEqual(['{result="unavailable"} 1'])
  })
})

describe('the parts behind the API', () => {
  it('have a gauge and the time of the last success for each source', async () => {
    const metrics = createApiMetrics()
    let isUp = true
    const check = async () => {
      if (!isUp) throw new SourceUnavailable('gone')
    }
    const source = combineSources([fakeSource(), fakeSource([], { name: 'other', check })])
    await using _api = await testApi({ metrics, source })
    const up = () => samples(metrics, 'oriel_api_source_up')
    const last = () => samples(metrics, 'oriel_api_source_last_success_timestamp_seconds')
    expect(await up()).toEqual(['{source="sources[0] fake"} 1', '{source="sources[1] other"} 1'])
    isUp = false
    const before = (await last())[1]
    expect(await up()).toEqual(['{source="sources[0] fake"} 1', '{source="sources[1] other"} 0'])
    expect((await last())[1]).toBe(before)
  })

  it('count authentications by result', async () => {
    const metrics = createApiMetrics()
    await using api = await testApi({ metrics })
    await api.call('GET', '/v2.1/servers')
    await api.call('GET', '/v2.1/servers', { as: 'nobody' as never })
    await api.call('GET', '/healthz')
    expect(await samples(metrics, 'oriel_api_authentications_total')).toEqual([
      '{result="ok"} 1',
      '{result="refused"} 1',
    ])
  })

  it('time the statements of the database, and the waits for a connection', async () => {
    const metrics = createApiMetrics()
    await using stores = await openStores('sqlite::memory:', { observe: metrics.database })
    await stores.tokens.find('unknown')
    const counts = (await samples(metrics, 'oriel_api_database_seconds_count')).join('\n')
    expect(counts).toMatch(/^\{operation="select",result="ok"\} \d+$/m)
    expect(counts).toMatch(/^\{operation="connect",result="ok"\} \d+$/m)
    expect(counts).not.toMatch(/error/)
  })

  it('count a database that does not answer', async () => {
    const metrics = createApiMetrics()
    const refused = { observe: metrics.database, startTimeoutMs: 1 }
    await expect(openStores('postgres://u:p@127.0.0.1:1/d', refused)).rejects.toThrow()
    expect(await samples(metrics, 'oriel_api_database_seconds_count')).toEqual([
      '{operation="connect",result="error"} 1',
    ])
  })

  it('time sign-ins and look-ups at Keystone by result', async () => {
    const metrics = createApiMetrics()
    await using keystone = await startKeystone()
    await using authenticator = createKeystoneAuthenticator(
      loadConfig(ApiConfig, { toml: keystone.toml }).auth.keystone!,
      { metrics },
    )
    const authenticate = (token: string) => authenticator.authenticate({ token, headers: new Headers() })
    await authenticate('good')
    await expect(authenticate('bad')).rejects.toThrow('does not know the token')
    await keystone[Symbol.asyncDispose]()
    await expect(authenticate('other')).rejects.toThrow('Keystone does not answer')
    expect(await samples(metrics, 'oriel_api_keystone_seconds_count')).toEqual([
      '{operation="sign_in",result="ok"} 1',
      '{operation="look_up",result="ok"} 1',
      '{operation="look_up",result="unknown"} 1',
      '{operation="look_up",result="unavailable"} 1',
    ])
  })
})

/** A Keystone that knows the token `good`. */
async function startKeystone() {
  const server = createServer((request, response) => {
    request.resume()
    if (request.method === 'POST') return void response.writeHead(201, { 'X-Subject-Token': 'own' }).end('{}')
    const isKnown = request.headers['x-subject-token'] === 'good'
    const token = { expires_at: '2999-01-01T00:00:00Z', user: { id: 'u' } }
    response.writeHead(isKnown ? 200 : 404, { 'Content-Type': 'application/json' }).end(JSON.stringify({ token }))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v3`
  return {
    toml: `[auth]\nmethod = "keystone"\nkeystone = { auth_url = "${url}", username = "u", password = "p", project_name = "s" }`,
    [Symbol.asyncDispose]: async () => {
      if (server.listening) await once(server.close(), 'close')
    },
  }
}

describe('the admin listener', () => {
  const toml =
    'listen = "127.0.0.1:0"\nauth.method = "none"\ntokens.store = "sqlite::memory:"\nadmin.listen = "127.0.0.1:0"'
  const start = (log = silentLogger()) => startApi(loadConfig(ApiConfig, { toml }), { log })
  const get = async (url: string) => {
    const response = await fetch(url)
    return { status: response.status, text: await response.text() }
  }

  it('serves health, readiness, and the metrics of the API and of the process', async () => {
    await using api = await start()
    await get(`${api.origin}/v2.1`)
    expect(await get(`http://${api.admin}/healthz`)).toEqual({ status: 200, text: '{"status":"ok"}' })
    expect(await get(`http://${api.admin}/readyz`)).toMatchObject({ status: 200 })
    const metrics = await get(`http://${api.admin}/metrics`)
    expect(metrics.text).toContain('oriel_api_requests_total{method="GET",route="/v2.1",status="200"} 1')
    expect(metrics.text).toMatch(/^process_cpu_seconds_total /m)
    expect(metrics.text).toMatch(/^oriel_log_lines_lost_total 0$/m)
  })

  it('is the only one that serves metrics', async () => {
    await using api = await start()
    expect((await get(`${api.origin}/metrics`)).status).toBe(404)
    expect((await get(`http://${api.admin}/v2.1`)).status).toBe(404)
  })

  it('counts bytes that are not HTTP', async () => {
    await using api = await start()
    const [host, port] = api.address.split(':')
    const socket = connect(Number(port), host)
    socket.write('\x16\x03\x01\x00\r\n\r\n')
    await text(socket)
    const { text: metrics } = await get(`http://${api.admin}/metrics`)
    expect(metrics).toContain('oriel_api_requests_total{method="other",route="other",status="400"} 1')
  })

  it('is unready while the API drains, and gives its address to a successor', async () => {
    const api = await start()
    api.setDraining()
    expect(await get(`http://${api.admin}/readyz`)).toEqual({ status: 503, text: '{"status":"draining"}' })
    await api[Symbol.asyncDispose]()
    await expect(fetch(`http://${api.admin}/healthz`)).rejects.toThrow()
  })

  it('is a fault at the address of the API', () => {
    const shared = 'auth.method = "none"\nlisten = "127.0.0.1:8774"\nadmin.listen = "127.0.0.1:8774"'
    expect(() => loadConfig(ApiConfig, { toml: shared, refine: refineApiConfig })).toThrow(
      'admin.listen: 127.0.0.1:8774 is taken by listen',
    )
  })
})

describe('docs/operations.md', () => {
  it('lists every metric of the API with its labels, and no other', async () => {
    const page = await readFile(new URL('../../../docs/operations.md', import.meta.url), 'utf8')
    const rows = [...page.matchAll(/^\| `(oriel_api_\w+)` \|([^|]*)\|/gm)]
    const metrics = createApiMetrics()
    metrics.sources(async () => [])
    const known = metrics.registry.getMetricsAsArray().map((metric) => {
      const { name, labelNames } = metric as unknown as { name: string; labelNames: string[] }
      return `${name} ${labelNames.join(', ')}`
    })
    expect(rows.map(([, name, labels]) => `${name} ${labels!.trim()}`).sort()).toEqual(known.sort())
  })
})
