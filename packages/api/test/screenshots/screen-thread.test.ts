/** The thread of screenshots, against servers that no real part plays. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { ScreenThread } from '../../src/screenshots/screen-thread.ts'

const [WIDTH, HEIGHT] = [4096, 2304]
const u16 = (...values: readonly number[]) => Buffer.from(values.flatMap((value) => [value >> 8, value & 255]))
/** A handshake without authentication, sent without waiting for the client. */
const hello = (width: number, height: number) =>
  Buffer.concat([
    Buffer.from('RFB 003.008\n'),
    Buffer.of(1, 1, 0, 0, 0, 0),
    u16(width, height),
    Buffer.from('2018000100ff00ff00ff0008100000000000000001', 'hex').subarray(0, 16),
    Buffer.of(0, 0, 0, 0),
  ])
/** Fills the whole screen: 16 bytes for 9 million pixels. */
const fill = Buffer.concat([u16(0, 0, WIDTH, HEIGHT), Buffer.of(0, 0, 0, 7, 0x80, 1, 2, 3)])
const FILLS = 0xffff
const bomb = Buffer.concat([Buffer.of(0, 0), u16(FILLS), ...Array.from({ length: FILLS }, () => fill)])
const picture = (width: number, height: number) =>
  Buffer.concat([
    Buffer.of(0, 0, 0, 1),
    u16(0, 0, width, height),
    Buffer.of(0, 0, 0, 0),
    Buffer.alloc(width * height * 4),
  ])

async function startServer(...messages: readonly Buffer[]) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => 'binary' })
  server.on('connection', (socket) => {
    for (const message of messages) socket.send(message)
  })
  await once(server, 'listening')
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/websockify?token=t`
  const stop = () => {
    for (const client of server.clients) client.terminate()
    server.close()
  }
  return { url, [Symbol.dispose]: stop }
}

test('the thread of screenshots ends in time for a screen that takes minutes to decode, and the next request has another', async () => {
  using hostile = await startServer(hello(WIDTH, HEIGHT), bomb)
  using good = await startServer(hello(2, 1), picture(2, 1))
  await using thread = new ScreenThread({ graceMs: 200 })
  const busy = thread.read({ url: hostile.url, format: 'png', timeoutMs: 500 })
  await expect(busy).rejects.toMatchObject({ name: 'ScreenFailure', reason: 'timeout' })
  const png = await thread.read({ url: good.url, format: 'png', timeoutMs: 10_000 })
  expect(Buffer.from(png).subarray(1, 4).toString()).toBe('PNG')
})

test('a screen of 65535 pixels in each direction is refused before memory is allocated', async () => {
  using hostile = await startServer(hello(65_535, 65_535))
  await using thread = new ScreenThread()
  const shot = thread.read({ url: hostile.url, format: 'png', timeoutMs: 10_000 })
  await expect(shot).rejects.toMatchObject({ name: 'ScreenFailure', reason: 'unreadable' })
})

test('a server that is silent after the WebSocket has opened is a timeout', async () => {
  using silent = await startServer()
  await using thread = new ScreenThread()
  const shot = thread.read({ url: silent.url, format: 'text', timeoutMs: 300 })
  await expect(shot).rejects.toMatchObject({ name: 'ScreenFailure', reason: 'timeout' })
})
