/** The connection to a console proxy, and the sentences for its failures. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { createClient } from '@oriel/sdk'
import { REFUSALS_SUBPROTOCOL } from '@oriel/sdk/close-reasons'
import { temporaryPki } from '@oriel/testkit'
import { expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import type { Cloud } from '../src/cloud/sign-in.ts'
import { dial } from '../src/console/dial.ts'

const cloud = (options: Partial<Cloud> = {}): Cloud => ({
  client: createClient({ endpoint: 'http://h' }),
  fetch,
  timeoutMs: 5000,
  caFile: undefined,
  ...options,
})

async function listen(server: Server | TcpServer, scheme = 'ws') {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()))
  return {
    url: `${scheme}://127.0.0.1:${port}/?token=secret-token`,
    host: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: close,
  }
}

/** A proxy that answers an Upgrade with a status. */
const refusing = (head: string, body: string) => createServer().on('upgrade', answering(head, body))

const answering = (head: string, body: string) => (_: unknown, socket: Duplex) =>
  socket.on('error', () => {}).end(`HTTP/1.1 ${head}\r\nConnection: close\r\n\r\n${body}`)

it('passes bytes in both directions, and resolves with the reason of the end', async () => {
  const server = createServer()
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'binary' })
  sockets.on('connection', (socket) => socket.once('message', (data) => socket.send(data, () => socket.close(4008))))
  await using proxy = await listen(server)
  const { stream, closed } = await dial(proxy.url, cloud())
  stream.write('bytes')
  expect(String((await once(stream, 'data'))[0])).toBe('bytes')
  expect(await closed).toEqual({ text: 'An operator ended this session. Run the command again.', isNormal: false })
})

it('fails with the sentence of a proxy that refuses with a close code', async () => {
  const server = createServer()
  const sockets = new WebSocketServer({ server, handleProtocols: () => REFUSALS_SUBPROTOCOL })
  sockets.on('connection', (socket) => socket.close(4429, 'too_many: Too many consoles are open.'))
  await using proxy = await listen(server)
  await expect(dial(proxy.url, cloud())).rejects.toThrow(/^Too many consoles are open\. Run the command again\.$/)
})

it.each([
  ['403 Forbidden', '{"forbidden": {"code": 403, "message": "Not this one."}}', 'status 403. Not this one.'],
  ['502 Bad Gateway', '<html>nginx</html>', 'status 502. Is this the address of the console proxy?'],
  ['404 Not Found', 'x'.repeat(100_000), 'status 404. Is this the address of the console proxy?'],
])('fails with what a proxy answers with status %s', async (head, body, sentence) => {
  await using proxy = await listen(refusing(head, body))
  const failure = await dial(proxy.url, cloud()).catch((error) => error)
  expect(failure).toMatchObject({ exit: 'failed', message: `${proxy.host} refused the console with ${sentence}` })
})

it('fails in time if the proxy does not answer', async () => {
  const server = createTcpServer((socket) => socket.resume().unref())
  await using proxy = await listen(server)
  const failure = await dial(proxy.url, cloud({ timeoutMs: 100 })).catch((error) => error)
  expect(failure).toMatchObject({ exit: 'timeout', message: expect.stringContaining('raise --timeout') })
})

it('names the remedy for a certificate of an unknown CA, and trusts the CA of OS_CACERT', async () => {
  await using pki = await temporaryPki()
  const [cert, key] = ['server-cert.pem', 'server-key.pem'].map((name) => readFileSync(join(pki.path, name)))
  const server = createHttpsServer({ cert, key }).on('upgrade', answering('403 No', ''))
  await using proxy = await listen(server, 'wss')
  await expect(dial(proxy.url, cloud())).rejects.toThrow('Name its certificate authority with OS_CACERT')
  const trusting = cloud({ caFile: join(pki.path, 'ca-cert.pem') })
  await expect(dial(proxy.url, trusting)).rejects.toThrow('refused the console with status 403')
})

it.each(['http://h/?path=//elsewhere/', 'mailto:a@b'])('refuses to dial %s', async (url) => {
  await expect(dial(url, cloud())).rejects.toThrow('leads to no WebSocket')
})
