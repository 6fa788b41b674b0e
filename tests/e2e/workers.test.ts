/** `sessions.workers` with the built program: several processes behind one port. */
import { type ScriptedServer, scriptedServer, startNovaStub } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { startApp } from './parts/oriel.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'

const TOKEN = '7d1f0f4c-6f0b-4f39-8f5e-3a1f4c7b2d10'
const SERVICE_TOKEN = 'service-token-of-the-tests'

describe('oriel-proxy with workers', () => {
  const parts = new AsyncDisposableStack()
  let hypervisor: ScriptedServer

  beforeAll(async () => {
    hypervisor = parts.use(await scriptedServer(serveRfb))
  })
  afterAll(() => parts.disposeAsync())

  it('relays in several processes, serves pages, and drains all processes', async () => {
    const { host, port } = hypervisor
    const console = { instance_uuid: '52b2e44e-e561-464c-88f3-2fc6a1ecea2b', host, port }
    await using nova = await startNovaStub({ tokens: { [TOKEN]: console }, adminToken: SERVICE_TOKEN })
    await using proxy = await startApp('proxy', {
      authority: { endpoint: nova.url, auth: { method: 'token', token: SERVICE_TOKEN } },
      listen: [{ address: '127.0.0.1:0', consoles: ['novnc'] }],
      sessions: { workers: 3 },
      hypervisor: { identity: 'off' },
    })
    await proxy.waitForLog(({ msg }) => msg === 'all workers accept connections', { timeoutMs: 60_000 })
    const { address } = await proxy.waitForLog(({ msg }) => msg === 'listening')
    expect((await fetch(`http://${address}/vnc_lite.html`)).status).toBe(200)
    const sockets = Array.from({ length: 6 }, () => new WebSocket(`ws://${address}/?token=${TOKEN}`, ['binary']))
    const viewers = await Promise.all(sockets.map((socket) => asViewer(socket)))
    for (const viewer of viewers) expect(await viewer.echo(Buffer.from('hello'))).toEqual(Buffer.from('hello'))
    const opened = () => proxy.records.filter(({ msg }) => msg === 'session opened')
    await expect.poll(() => opened().length).toBe(sockets.length)
    expect(new Set(opened().map(({ worker }) => worker)).size).toBeGreaterThan(1)
    const codes = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    expect(await proxy.stop()).toEqual({ code: 0, signal: null })
    expect(await Promise.all(codes)).toEqual(Array.from({ length: 6 }, () => 1001))
  })
})
