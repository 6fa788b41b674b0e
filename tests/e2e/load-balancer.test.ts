/** Consoles behind a load balancer that closes idle connections: the proxy's pings keep them open. */
import { once } from 'node:events'
import { freePort, requires, type ScriptedServer, scriptedServer } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { startHaproxy } from './parts/haproxy.ts'
import { type Pair, startPair } from './parts/oriel.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'

/** Scaled down by ten: five minutes without traffic, and a load balancer with a timeout of sixty seconds. */
const IDLE_MS = 30_000
const CUT_AFTER_MS = 6_000
/**
 * Not shorter: the proxy drops a client that misses three pings, and a busy machine can pause any process for seconds.
 */
const PING_SECONDS = 2
const { skip, reason } = requires('haproxy')

describe.skipIf(skip)(`an idle console behind HAProxy${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let hypervisor: ScriptedServer

  beforeAll(async () => {
    hypervisor = parts.use(await scriptedServer(serveRfb))
  })
  afterAll(() => parts.disposeAsync())

  it('stays open for five times the balancer’s idle timeout', async () => {
    await using oriel = await startBehindHaproxy(hypervisor, { ping_interval_seconds: PING_SECONDS })
    const socket = await connected(oriel)
    const viewer = await asViewer(socket)
    const ended = await Promise.race([once(socket, 'close').then(() => 'cut'), elapsed(IDLE_MS)])
    expect(ended).toBe('alive')
    expect(await viewer.echo(Buffer.from('still here'))).toEqual(Buffer.from('still here'))
    socket.terminate()
  })

  it('is closed by the balancer if the proxy sends no pings', async () => {
    await using oriel = await startBehindHaproxy(hypervisor, { ping_interval_seconds: 3600 })
    const socket = await connected(oriel)
    await asViewer(socket)
    const ended = await Promise.race([once(socket, 'close').then(() => 'cut'), elapsed(IDLE_MS)])
    expect(ended).toBe('cut')
  })
})

const server_id = '0f0c4b1e-52a9-4f6e-9c57-0f7a3a2a8a11'

async function startBehindHaproxy({ host, port }: ScriptedServer, sessions: Record<string, unknown>): Promise<Pair> {
  await using scope = new AsyncDisposableStack()
  const publicPort = await freePort()
  const servers = [{ id: server_id, name: 'idle', consoles: { vnc: { host, port } } }]
  const pair = scope.use(await startPair({ servers, proxy: { sessions }, publicPort }))
  scope.use(await startHaproxy(haproxyConfig(publicPort, pair.proxyPort), publicPort))
  const rest = scope.move()
  return { ...pair, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

async function connected({ client }: Pair): Promise<WebSocket> {
  const { url } = await client.createConsole(server_id, 'novnc')
  const { host, searchParams } = new URL(url)
  return new WebSocket(`ws://${host}/${searchParams.get('path')}`, ['binary'])
}

/** Waits for a fixed time, because the test checks that nothing happens in it. */
const elapsed = (ms: number) => new Promise<'alive'>((resolve) => setTimeout(() => resolve('alive'), ms))

const haproxyConfig = (publicPort: number, proxyPort: number) => `
global
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel ${CUT_AFTER_MS}ms
frontend consoles
  bind 127.0.0.1:${publicPort}
  default_backend proxies
backend proxies
  server one 127.0.0.1:${proxyPort}
`
