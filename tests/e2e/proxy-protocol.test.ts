/** The proxy behind a real HAProxy in TCP mode: it uses the client's address in lists and limits. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, requires, type ScriptedServer, scriptedServer, startNovaStub, temporaryPki } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { startHaproxy } from './parts/haproxy.ts'
import { listening, startApp } from './parts/oriel.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'

const { skip, reason } = requires('haproxy')
const TOKEN = '7d1f0f4c-6f0b-4f39-8f5e-3a1f4c7b2d10'
const SERVICE_TOKEN = 'service-token-of-the-tests'
/** Another address of this machine, so that the client's address differs from the balancer's. */
const CLIENT = '127.0.0.42'

describe.skipIf(skip)(`a proxy behind HAProxy in TCP mode${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let hypervisor: ScriptedServer

  beforeAll(async () => {
    hypervisor = parts.use(await scriptedServer(serveRfb))
  })
  afterAll(() => parts.disposeAsync())

  it.each(['send-proxy', 'send-proxy-v2', 'send-proxy-v2-ssl'])(
    'lists the client’s address with %s',
    async (option) => {
      await using it = await behindHaproxy(hypervisor, option)
      const socket = new WebSocket(`ws://127.0.0.1:${it.publicPort}/?token=${TOKEN}`, ['binary'], {
        localAddress: CLIENT,
      })
      const viewer = await asViewer(socket)
      expect(await viewer.echo(Buffer.from('through'))).toEqual(Buffer.from('through'))
      expect(await it.sessions()).toMatchObject([{ client: CLIENT }])
      socket.terminate()
    },
  )

  it('lists the client’s address of a console over TLS that HAProxy does not terminate', async () => {
    await using pki = await temporaryPki()
    const tls = { cert: join(pki.path, 'server-cert.pem'), key: join(pki.path, 'server-key.pem') }
    await using it = await behindHaproxy(hypervisor, 'send-proxy-v2', { tls })
    const ca = await readFile(join(pki.path, 'ca-cert.pem'))
    const url = `wss://127.0.0.1:${it.publicPort}/?token=${TOKEN}`
    const socket = new WebSocket(url, ['binary'], { ca, localAddress: CLIENT })
    const viewer = await asViewer(socket)
    expect(await viewer.echo(Buffer.from('through'))).toEqual(Buffer.from('through'))
    expect(await it.sessions()).toMatchObject([{ client: CLIENT }])
    socket.terminate()
  })

  it('applies limits by client address, and passes the balancer’s health checks', async () => {
    await using it = await behindHaproxy(hypervisor, 'send-proxy-v2', {}, { max_per_client: 1 })
    const from = (localAddress: string) =>
      new WebSocket(`ws://127.0.0.1:${it.publicPort}/?token=${TOKEN}`, ['binary'], { localAddress })
    const first = from(CLIENT)
    await once(first, 'open')
    const second = from(CLIENT)
    const [, response] = await once(second, 'unexpected-response')
    expect(response.statusCode).toBe(429)
    const other = from('127.0.0.43')
    await once(other, 'open')
    await it.haproxy.waitForLine(/Server proxies\/one is UP|Health check for server proxies\/one succeeded/)
    for (const socket of [first, other]) socket.terminate()
  })

  it('counts each IPv4 client of a dual-stack listener separately', async () => {
    await using it = await behindHaproxy(hypervisor, 'send-proxy-v2', {}, { max_per_client: 1 }, ':::{port} v4v6')
    const from = (localAddress: string) =>
      new WebSocket(`ws://127.0.0.1:${it.publicPort}/?token=${TOKEN}`, ['binary'], { localAddress })
    const first = from(CLIENT)
    await once(first, 'open')
    const other = from('127.0.0.43')
    await once(other, 'open')
    const clients = (await it.sessions()).map((session) => (session as { client: string }).client)
    expect(clients.sort()).toEqual([CLIENT, '127.0.0.43'])
    const [, response] = await once(from(CLIENT), 'unexpected-response')
    expect(response.statusCode).toBe(429)
    for (const socket of [first, other]) socket.terminate()
  })

  it('drops connections of an HAProxy that sends no header, and logs the reason', async () => {
    await using it = await behindHaproxy(hypervisor, '')
    const socket = new WebSocket(`ws://127.0.0.1:${it.publicPort}/?token=${TOKEN}`, ['binary'])
    const [error] = await once(socket, 'error')
    expect(String(error)).toMatch(/socket hang up|ECONNRESET/)
    await it.proxy.waitForLog(({ msg }) => msg === 'connection dropped: no valid PROXY header from a trusted balancer')
  })
})

type Table = Record<string, unknown>

async function behindHaproxy(
  { host, port }: ScriptedServer,
  option: string,
  listener: Table = {},
  sessions: Table = {},
  bind = '127.0.0.1:{port}',
) {
  await using scope = new AsyncDisposableStack()
  const console = { instance_uuid: '52b2e44e-e561-464c-88f3-2fc6a1ecea2b', host, port }
  const nova = scope.use(await startNovaStub({ tokens: { [TOKEN]: console }, adminToken: SERVICE_TOKEN }))
  const [proxyPort, publicPort] = [await freePort(), await freePort()]
  const config = {
    authority: { endpoint: nova.url, auth: { method: 'token', token: SERVICE_TOKEN } },
    listen: [{ address: `127.0.0.1:${proxyPort}`, consoles: ['novnc'], proxy_protocol: true, ...listener }],
    origin: { trusted_proxies: ['127.0.0.1'] },
    sessions,
    hypervisor: { identity: 'off' },
    admin: { listen: '127.0.0.1:0' },
  }
  const proxy = scope.use(await startApp('proxy', config))
  await listening(proxy)
  const admin = (await proxy.waitForLog(({ listener: which }) => which === 'admin')).address
  const haproxy = scope.use(await startBalancer(publicPort, proxyPort, option, bind))
  const rest = scope.move()
  return {
    ...{ proxy, publicPort, haproxy },
    sessions: async () => ((await (await fetch(`http://${admin}/sessions`)).json()) as { sessions: object[] }).sessions,
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

async function startBalancer(publicPort: number, proxyPort: number, option: string, bind: string) {
  const config = haproxyConfig(bind.replace('{port}', String(publicPort)), proxyPort, option)
  const program = await startHaproxy(config, publicPort)
  const waitForLine = async (pattern: RegExp) => {
    const lines = () => [...program.otherLines, ...program.stderr.split('\n')].join('\n')
    await expect.poll(lines).toMatch(pattern)
  }
  return { waitForLine, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() }
}

const haproxyConfig = (bind: string, proxyPort: number, option: string) => `
global
  log stderr format raw local0 info
defaults
  mode tcp
  log global
  option log-health-checks
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend consoles
  bind ${bind}
  default_backend proxies
backend proxies
  server one 127.0.0.1:${proxyPort} ${option} check inter 500ms
`
