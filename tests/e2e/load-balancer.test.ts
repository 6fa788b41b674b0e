/** Idle consoles behind the HAProxy of Kolla-Ansible, which closes silent tunnels: the proxy's pings keep them open. */
import { once } from 'node:events'
import { freePort, requires, type ScriptedServer, scriptedServer } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { startHaproxy } from './parts/haproxy.ts'
import { type Pair, PROJECT, startPair } from './parts/oriel.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'

/** Kolla-Ansible's ten minutes for serial consoles, divided by 100. Its hour for the others is this short as well. */
const TUNNEL_MS = 6_000
const IDLE_MS = 2.5 * TUNNEL_MS
/**
 * Not shorter: the proxy drops a client that misses two pings, and a busy machine can pause any process for seconds.
 */
const PING_SECONDS = 2
const TYPES = ['novnc', 'serial'] as const
const SERVER = '0f0c4b1e-52a9-4f6e-9c57-0f7a3a2a8a11'
const { skip, reason } = requires('haproxy')

describe.skipIf(skip)(`idle VNC and serial consoles behind the HAProxy of Kolla-Ansible${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let vnc: ScriptedServer
  let serial: ScriptedServer

  beforeAll(async () => {
    vnc = parts.use(await scriptedServer(serveRfb))
    serial = parts.use(await scriptedServer((peer) => peer.closed({ timeoutMs: 600_000 })))
  })
  afterAll(() => parts.disposeAsync())

  it('stay open for longer than the timeout of its tunnels', async () => {
    await using oriel = await startBehindHaproxy({ vnc: at(vnc), serial: at(serial) }, PING_SECONDS)
    const consoles = await openConsoles(oriel)
    expect(await Promise.race([anyClosed(consoles), elapsed(IDLE_MS)])).toBe('open')
    for (const socket of consoles) socket.terminate()
  })

  it('are closed by HAProxy if the proxy sends no pings, about which the proxy warns', async () => {
    await using oriel = await startBehindHaproxy({ vnc: at(vnc), serial: at(serial) }, 0)
    const { key } = await oriel.proxy.waitForLog(({ msg }) => String(msg).includes('0 sends no pings'))
    expect(key).toBe('sessions.ping_interval_seconds')
    const closed = (await openConsoles(oriel)).map((socket) => once(socket, 'close'))
    expect((await Promise.all(closed)).map(([code]) => code)).toEqual([1006, 1006])
  })
})

const at = ({ host, port }: ScriptedServer) => ({ host, port })

async function startBehindHaproxy(consoles: object, pingSeconds: number): Promise<Pair> {
  await using scope = new AsyncDisposableStack()
  const [vncPort, serialPort, publicVnc, publicSerial] = await Promise.all(Array.from({ length: 4 }, freePort))
  const pair = scope.use(
    await startPair({
      servers: [{ id: SERVER, name: 'idle', project_id: PROJECT, consoles }],
      api: {
        consoles: {
          novnc: { base_url: `http://127.0.0.1:${publicVnc}/vnc_lite.html` },
          serial: { base_url: `ws://127.0.0.1:${publicSerial}/` },
        },
      },
      proxy: {
        listen: [
          { address: `127.0.0.1:${vncPort}`, consoles: ['novnc'] },
          { address: `127.0.0.1:${serialPort}`, consoles: ['serial'] },
        ],
        origin: { trusted_proxies: ['127.0.0.1'] },
        sessions: { ping_interval_seconds: pingSeconds },
      },
    }),
  )
  const services = [
    ['nova_novncproxy', publicVnc!, vncPort!],
    ['nova_serialconsole_proxy', publicSerial!, serialPort!],
  ] as const
  scope.use(
    await startHaproxy(
      DEFAULTS + services.map(([name, port, proxy]) => kollaService(name, port, proxy)).join(''),
      publicVnc!,
      publicSerial!,
    ),
  )
  const rest = scope.move()
  return { ...pair, [Symbol.asyncDispose]: () => rest.disposeAsync() }
}

/** Opens a console of each type, up to the end of its handshake. */
const openConsoles = ({ client }: Pair): Promise<WebSocket[]> =>
  Promise.all(
    TYPES.map(async (type) => {
      const { host, searchParams, search } = new URL((await client.createConsole(SERVER, type)).url)
      const socket = new WebSocket(`ws://${host}/${searchParams.get('path') ?? search}`, ['binary'])
      await (type === 'novnc' ? asViewer(socket) : once(socket, 'open'))
      return socket
    }),
  )

const anyClosed = (sockets: readonly WebSocket[]) =>
  Promise.race(sockets.map((socket) => once(socket, 'close'))).then(() => 'closed' as const)

/** Waits for a fixed time, because the test checks that nothing happens in it. */
const elapsed = (ms: number) => new Promise<'open'>((resolve) => setTimeout(() => resolve('open'), ms))

/** What Kolla-Ansible configures for all services. */
const DEFAULTS = `
global
  maxconn 2000
defaults
  option redispatch
  retries 3
  timeout http-request 10s
  timeout queue 1m
  timeout connect 10s
  timeout client 1m
  timeout server 1m
  timeout check 10s
  balance roundrobin
`

/** What it configures for a console proxy: the timeout of tunnels is in the backend alone. */
const kollaService = (name: string, port: number, proxyPort: number) => `
frontend ${name}_front
  mode http
  http-request del-header X-Forwarded-Proto
  option httplog
  option forwardfor
  bind 127.0.0.1:${port}
  default_backend ${name}_back
backend ${name}_back
  mode http
  timeout tunnel ${TUNNEL_MS}ms
  server one 127.0.0.1:${proxyPort} check inter 2000 rise 2 fall 5
`
