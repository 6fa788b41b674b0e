/** DNS rebinding attacks against `npm start`, and against a proxy without credentials. */
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import {
  freePort,
  type RunningProgram,
  type ScriptedServer,
  scriptedServer,
  startProgram,
  temporaryFolder,
} from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { listening, programFile, startApp } from './parts/oriel.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'

const REBOUND = 'rebind.attacker.example'
const ID = '0f0c4b1e-52a9-4f6e-9c57-0f7a3a2a8a12'

interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Sends the request of a browser whose DNS resolves `REBOUND` to this machine. */
async function send(port: number, path: string, { method = 'GET', headers = {}, body }: Sent = {}) {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>()
  const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
    text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject)
  })
  sent.once('error', reject).end(body)
  return promise
}

/** Sends an Upgrade, and returns the status: 101 if it opens. */
async function upgradeStatus(port: number, path: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, ['binary'], { headers })
  socket.once('unexpected-response', (_, response) => resolve(response.statusCode ?? 0))
  socket.once('open', () => resolve(101)).once('error', reject)
  try {
    return await promise
  } finally {
    socket.once('error', () => {}).terminate()
  }
}

const create = (headers: Readonly<Record<string, string>>): Sent => ({
  method: 'POST',
  headers: { 'OpenStack-API-Version': 'compute 2.6', ...headers },
  body: JSON.stringify({ remote_console: { protocol: 'vnc', type: 'novnc' } }),
})
const JSON_BODY = { 'Content-Type': 'application/json' }

describe('oriel --demo and a page of another site', () => {
  const parts = new AsyncDisposableStack()
  let apiPort: number
  let proxyPort: number

  beforeAll(async () => {
    const folder = parts.use(await temporaryFolder())
    apiPort = await freePort()
    proxyPort = await freePort()
    const env = {
      ORIEL_API__LISTEN: `127.0.0.1:${apiPort}`,
      ORIEL_PROXY__LISTEN__0__ADDRESS: `127.0.0.1:${proxyPort}`,
    }
    const oriel: RunningProgram = parts.use(
      await startProgram({ file: programFile('oriel'), args: ['--demo'], env, cwd: folder.path }),
    )
    await oriel.waitForLog(({ msg }) => String(msg).startsWith('open '))
  })
  afterAll(() => parts.disposeAsync())

  it('a page whose rebound name leads to this machine lists no server and creates no console', async () => {
    const headers = { Host: `${REBOUND}:${apiPort}`, Origin: `http://${REBOUND}:${apiPort}` }
    const list = await send(apiPort, '/v2.1/servers', { headers })
    expect(list).toMatchObject({ status: 403, body: expect.stringContaining('use http://localhost') })
    const path = `/v2.1/servers/${await demoServer(apiPort)}/remote-consoles`
    expect(await send(apiPort, path, create({ ...headers, ...JSON_BODY }))).toMatchObject({ status: 403 })
    expect(await send(apiPort, path, create({ Origin: `http://${REBOUND}`, ...JSON_BODY }))).toMatchObject({
      status: 403,
    })
    expect(await send(apiPort, path, create({ 'Content-Type': 'text/plain' }))).toMatchObject({ status: 415 })
  })

  it('a page whose rebound name leads to this machine gets no page and no console, even with a valid token', async () => {
    const headers = { Host: `${REBOUND}:${proxyPort}`, Origin: `http://${REBOUND}:${proxyPort}` }
    for (const path of ['/', '/oriel.json', '/vnc_lite.html']) {
      const page = await send(proxyPort, path, { headers })
      expect(page).toMatchObject({ status: 421, body: expect.stringContaining('use localhost') })
    }
    const path = await consolePath(apiPort, await demoServer(apiPort))
    expect(await upgradeStatus(proxyPort, path, headers)).toBe(421)
    expect(await upgradeStatus(proxyPort, path, { Origin: headers.Origin })).toBe(403)
    const forwarded = { Host: 'localhost:9000', Origin: 'http://localhost:9000' }
    expect(await upgradeStatus(proxyPort, path, forwarded)).toBe(101)
  })

  it.each(['localhost', '127.0.0.1', '[::1]', 'oriel.localhost'])(
    'a page of %s is served on any port',
    async (name) => {
      const headers = { Host: `${name}:9000`, Origin: `http://${name}:9000` }
      expect(await send(apiPort, '/v2.1/servers', { headers })).toMatchObject({ status: 200 })
      expect(await send(proxyPort, '/', { headers: { Host: `${name}:9000` } })).toMatchObject({ status: 200 })
    },
  )
})

describe('oriel-api and oriel-proxy without credentials', () => {
  const parts = new AsyncDisposableStack()
  let hypervisor: ScriptedServer
  let apiPort: number
  let proxyPort: number

  beforeAll(async () => {
    hypervisor = parts.use(await scriptedServer(serveRfb))
    apiPort = await freePort()
    proxyPort = await freePort()
    const { host, port } = hypervisor
    const server = { id: ID, name: 'web-1', project_id: 'local', status: 'ACTIVE', consoles: { vnc: { host, port } } }
    const api = parts.use(
      await startApp('api', {
        listen: `127.0.0.1:${apiPort}`,
        auth: { method: 'none' },
        tokens: { store: 'sqlite::memory:' },
        sources: [{ kind: 'static', servers: [server] }],
      }),
    )
    await listening(api)
    const proxy = parts.use(
      await startApp('proxy', {
        authority: { kind: 'oriel', endpoint: `http://127.0.0.1:${apiPort}` },
        listen: [{ address: `127.0.0.1:${proxyPort}`, consoles: ['novnc'] }],
        hypervisor: { identity: 'off' },
      }),
    )
    await listening(proxy)
  })
  afterAll(() => parts.disposeAsync())

  it('the proxy refuses a Host that is not a loopback name, and relays for one that is', async () => {
    const path = await consolePath(apiPort, ID)
    expect(await send(proxyPort, '/oriel.json', { headers: { Host: REBOUND } })).toMatchObject({ status: 421 })
    expect(await upgradeStatus(proxyPort, path, { Host: REBOUND, Origin: `http://${REBOUND}` })).toBe(421)
    const viewer = await asViewer(new WebSocket(`ws://127.0.0.1:${proxyPort}${path}`, ['binary']))
    expect(await viewer.echo(Buffer.from('through'))).toEqual(Buffer.from('through'))
  })
})

async function demoServer(apiPort: number): Promise<string> {
  const { body } = await send(apiPort, '/v2.1/servers')
  return (JSON.parse(body) as { servers: { id: string; name: string }[] }).servers.find(({ name }) => name === 'demo')!
    .id
}

/** Creates a console, and returns its path with the token. */
async function consolePath(apiPort: number, id: string): Promise<string> {
  const { body } = await send(apiPort, `/v2.1/servers/${id}/remote-consoles`, create(JSON_BODY))
  const { url } = (JSON.parse(body) as { remote_console: { url: string } }).remote_console
  const { pathname, search } = new URL(url)
  return `${pathname.replace(/[^/]*$/, '')}${search}`
}
