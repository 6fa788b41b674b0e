/** Many clients that read nothing from a flooding console through a running proxy. */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseListen } from '@oriel/runtime'
import { startNovaStub, startProgram, temporaryFolder } from '@oriel/testkit'
import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import {
  HEADROOM_BYTES,
  MAX_READ_BYTES,
  MAX_UNPROVEN_READ_BYTES,
  PROVING_BYTES,
} from '../../src/hypervisor/read-buffers.ts'
import { connectHypervisor } from '../../src/hypervisor/tcp-leg.ts'
import { BufferBudget } from '../../src/session/buffer-budget.ts'
import { Relay } from '../../src/session/relay.ts'
import { ADMIN_TOKEN, dial, INSTANCE, OTHER_TOKEN, TOKEN, UPGRADE } from '../fixture.ts'

const file = fileURLToPath(new URL('../fixtures/proxy-program.ts', import.meta.url))
const STALLED = 40
const BUDGET_MIB = 1
const MIB = 1024 * 1024
/** The bytes that may be lent above the budget for a moment: one read for each session. */
const SLACK_BYTES = STALLED * MAX_UNPROVEN_READ_BYTES

/** A TCP server on loopback whose connections `serve` handles. */
async function server(serve: (socket: Socket) => void) {
  const open = new Set<Socket>()
  const listening = createServer((socket) => {
    open.add(socket.on('error', () => {}).on('close', () => open.delete(socket)))
    serve(socket)
  })
  listening.listen(0, '127.0.0.1')
  await once(listening, 'listening')
  return {
    port: (listening.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy()
      listening.close()
      await once(listening, 'close')
    },
  }
}

/** Sends for as long as the peer reads. */
function flood(socket: Socket): void {
  const piece = Buffer.alloc(256 * 1024)
  const fill = () => {
    while (!socket.destroyed && socket.write(piece));
  }
  socket.on('drain', fill)
  fill()
}

async function running(sessions: string) {
  await using opened = new AsyncDisposableStack()
  const flooding = opened.use(await server(flood))
  const echoing = opened.use(await server((socket) => socket.pipe(socket)))
  const at = (port: number) => ({ instance_uuid: INSTANCE, host: '127.0.0.1', port })
  const tokens = { [TOKEN]: at(flooding.port), [OTHER_TOKEN]: at(echoing.port) }
  const nova = opened.use(await startNovaStub({ tokens, adminToken: ADMIN_TOKEN }))
  const folder = opened.use(await temporaryFolder())
  const config = join(folder.path, 'proxy.toml')
  await writeFile(config, toml(nova.url, sessions))
  const nodeArgs = ['--conditions=@oriel/source']
  const program = opened.use(await startProgram({ file, nodeArgs, args: ['--config', config] }))
  const wait = { timeoutMs: 60_000 }
  const { address } = await program.waitForLog(({ msg }) => msg === 'listening', wait)
  const admin = await program.waitForLog(({ msg }) => msg === 'admin listening', wait)
  const close = opened.move()
  return {
    ...{ program, address: String(address) },
    metric: (name: string) => metricAt(String(admin.address), name),
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

const toml = (endpoint: string, sessions: string) => `
  [authority]
  endpoint = "${endpoint}"
  auth = { method = "token", token = "${ADMIN_TOKEN}" }
  [[listen]]
  address = "127.0.0.1:0"
  consoles = ["serial"]
  [sessions]
  max_per_token = 1000
  max_per_instance = 1000
  max_per_client = 1000
  ${sessions}
  [admin]
  listen = "127.0.0.1:0"`

/** Returns the sum over all labels. */
async function metricAt(admin: string, name: string): Promise<number> {
  const text = await (await fetch(`http://${admin}/metrics`)).text()
  const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map(([, value]) =>
    Number(value),
  )
  return values.reduce((sum, value) => sum + value, 0)
}

/** A client that opens the flooding console and reads nothing of it. */
function stall(address: string): Socket {
  const socket = connect(parseListen(address))
  socket.on('error', () => {}).pause()
  socket.write([`GET /?token=${TOKEN} HTTP/1.1`, 'Host: h', ...UPGRADE, '', ''].join('\r\n'))
  return socket
}

/** A client that opens the flooding console, and reads only so many bytes of it. */
function stallAfter(address: string, bytes: number): Socket {
  const socket = stall(address).resume()
  socket.on('data', () => {
    if (socket.bytesRead >= bytes) socket.pause()
  })
  return socket
}

/** Relays in this process, between a console that floods and every client. */
async function relaying() {
  await using opened = new AsyncDisposableStack()
  const flooding = opened.use(await server(flood))
  const budget = new BufferBudget(BUDGET_MIB * 8 * MIB)
  const accepting = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  opened.defer(() => accepting.close())
  const relays: Relay[] = []
  accepting.on('connection', async (client, { socket }) => {
    const address = { host: '127.0.0.1', port: flooding.port }
    const hypervisor = await connectHypervisor(address, AbortSignal.timeout(10_000), budget.readLimit)
    const relay = new Relay(hypervisor, client, {
      ...{ acceptsText: false, stalledAfterMs: 60_000, stream: socket, budget },
      end: () => relay.stop(),
    })
    client.on('error', () => {}).on('close', () => hypervisor[Symbol.dispose]())
    relay.start({ fromHypervisor: Buffer.alloc(0), fromClient: Buffer.alloc(0) })
    relays.push(relay)
  })
  await once(accepting, 'listening')
  const close = opened.move()
  return {
    ...{ budget, relays, clients: () => accepting.clients.values() },
    address: `127.0.0.1:${(accepting.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

describe('clients that read nothing from a console that floods', { timeout: 180_000 }, () => {
  it('use at most sessions.max_buffered_mib in total: those that stalled first are dropped, others go on', async () => {
    await using it = await running(`max_buffered_mib = ${BUDGET_MIB}`)
    using healthy = await dial(it.address, { path: `/?token=${OTHER_TOKEN}` })
    const sockets = Array.from({ length: STALLED }, () => stall(it.address))
    let echoed = 0
    const seen: number[] = []
    const settled = async () => {
      healthy.ws.send(Buffer.from('x'))
      await healthy.read(1)
      echoed += 1
      seen.push(await it.metric('oriel_proxy_buffered_bytes'))
      return (await it.metric('oriel_proxy_sessions_ended_total')) > 0 && seen.at(-1)! <= BUDGET_MIB * MIB
    }
    await expect.poll(settled, { timeout: 120_000, interval: 50 }).toBe(true)
    expect(Math.max(...seen)).toBeLessThanOrEqual(BUDGET_MIB * MIB + SLACK_BYTES)
    const ended = it.program.records.filter(({ msg }) => msg === 'session ended')
    expect(ended).not.toHaveLength(0)
    for (const record of ended) {
      expect(record).toMatchObject({ reason: 'client_stalled', detail: expect.stringMatching('max_buffered_mib') })
    }
    expect(echoed).toBeGreaterThan(0)
    expect(healthy.ws.readyState).toBe(healthy.ws.OPEN)
    for (const socket of sockets) socket.destroy()
  })

  it('no longer count once their connections are closed', async () => {
    await using it = await relaying()
    const sockets = [stall(it.address), stall(it.address), stall(it.address)]
    await expect.poll(() => it.relays.filter(({ blocked }) => blocked).length).toBe(3)
    expect(it.budget.bytes).toBe(it.relays.reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0))
    it.relays[0]!.drop()
    it.clients().next().value!.terminate()
    for (const socket of sockets.slice(1)) socket.destroy()
    await expect.poll(() => it.budget.bytes).toBe(0)
    sockets[0]!.destroy()
  })

  it('are lent two small reads at most if they may never have read, and one large read if they have', async () => {
    await using it = await relaying()
    const sockets = [stall(it.address), stallAfter(it.address, PROVING_BYTES * 2)]
    await once(sockets[1]!, 'pause')
    await expect.poll(() => it.relays.filter(({ blocked }) => blocked).length).toBe(2)
    const [small, large] = it.relays.map(({ bufferedBytes }) => bufferedBytes).toSorted((a, b) => a - b)
    expect(small).toBeLessThanOrEqual(2 * (MAX_UNPROVEN_READ_BYTES + HEADROOM_BYTES))
    expect(large).toBeGreaterThan(2 * (MAX_UNPROVEN_READ_BYTES + HEADROOM_BYTES))
    expect(large).toBeLessThan(2 * MAX_READ_BYTES)
    for (const socket of sockets) socket.destroy()
  })

  it('share the budget of their worker', async () => {
    await using it = await running('max_buffered_mib = 6\n  workers = 2')
    await expect.poll(() => it.metric('oriel_proxy_buffered_limit_bytes')).toBe(6 * MIB)
  })
})
