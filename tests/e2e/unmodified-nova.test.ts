/** The proxy with a stub of Nova that sends only Nova's own fields. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  freePort,
  type NovaStub,
  type RunningProgram,
  recordedMicroversions,
  scriptedServer,
  startNovaStub,
} from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { listening, merge, proxyConfig, startApp } from './parts/oriel.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'

describe('the proxy with an unmodified Nova as its authority', () => {
  const parts = new AsyncDisposableStack()
  const token = randomUUID()
  let nova: NovaStub
  let proxy: RunningProgram
  let port: number

  beforeAll(async () => {
    const { host, port: consolePort } = parts.use(await scriptedServer(serveRfb))
    const console = { instance_uuid: randomUUID(), host, port: consolePort, internal_access_path: null }
    nova = parts.use(await startNovaStub({ tokens: { [token]: console }, adminToken: 'service-secret' }))
    port = await freePort()
    const authority = { endpoint: nova.url, auth: { token: 'service-secret' } }
    proxy = parts.use(await startApp('proxy', merge(proxyConfig(nova.port, port), { authority })))
    await listening(proxy)
  })
  afterAll(() => parts.disposeAsync())

  const open = () => new WebSocket(`ws://127.0.0.1:${port}/websockify?token=${token}`, ['binary'])
  const refusedWith = async (socket: WebSocket) => {
    const [, response] = (await once(socket, 'unexpected-response')) as [
      unknown,
      { statusCode: number; headers: object },
    ]
    return response
  }

  it('relays the console of a token that it looks up with the service credential', async () => {
    const socket = open()
    const viewer = await asViewer(socket)
    expect(await viewer.echo(Buffer.from('bytes'))).toEqual(Buffer.from('bytes'))
    socket.terminate()
    const asked = nova.requests.find(({ url }) => url.endsWith(token))!
    expect(asked.url).toBe(`/v2.1/os-console-auth-tokens/${token}`)
    expect(asked.headers).toMatchObject({
      'x-auth-token': 'service-secret',
      'openstack-api-version': `compute ${recordedMicroversions.max}`,
    })
  })

  it('selects no subprotocol for a client that offers none', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/?token=${token}`)
    await asViewer(socket)
    expect(socket.protocol).toBe('')
    socket.terminate()
  })

  it('answers 503 with Retry-After while Nova hangs, resets or fails', async () => {
    for (const behaviour of ['hang', 'reset', 500, 503] as const) {
      nova.behave(behaviour)
      const { statusCode, headers } = await refusedWith(open())
      expect(statusCode, String(behaviour)).toBe(503)
      expect(headers).toHaveProperty('retry-after')
    }
  })
})
