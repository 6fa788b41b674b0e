import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { byteByByte, connectPeer, duplexPair, freePort, hex, scriptedServer } from '../src/bytes.ts'

test('hex reads pairs of digits and refuses anything else', () => {
  expect(hex('52 46\n42')).toEqual(Buffer.from('RFB'))
  expect(() => hex('5')).toThrow(TypeError)
  expect(() => hex('zz')).toThrow(TypeError)
})

test('a wrapped stream delivers each byte as a chunk of its own, and the end after the last', async () => {
  const [near, far] = duplexPair()
  far.end(Buffer.from('hello'))
  const chunks: string[] = []
  for await (const chunk of byteByByte(near)) chunks.push(String(chunk))
  expect(chunks).toEqual(['h', 'e', 'l', 'l', 'o'])
})

test('a slow reader gets single bytes, too', async () => {
  const [near, far] = duplexPair()
  far.end(Buffer.from('hello'))
  const lengths: number[] = []
  for await (const chunk of byteByByte(near)) {
    lengths.push(chunk.length)
    for (let turn = 0; turn < 10; turn++) await setImmediate()
  }
  expect(lengths).toEqual([1, 1, 1, 1, 1])
})

test('a wrapped stream passes writes and its end on', async () => {
  const [near, far] = duplexPair()
  byteByByte(near).end('bye')
  expect(String((await far.toArray())[0])).toBe('bye')
})

test('a wrapped stream fails with the stream below it', async () => {
  const [near] = duplexPair()
  const slow = byteByByte(near)
  slow.resume()
  const failed = once(slow, 'error')
  near.destroy(new Error('cut'))
  expect(String((await failed)[0])).toContain('cut')
})

test('a script and a client exchange bytes', async () => {
  await using server = await scriptedServer(async (peer) => {
    await peer.send('01 02')
    await peer.expect('03')
    peer.end()
  })
  using client = await connectPeer(server)
  expect(await client.read(2)).toEqual(hex('01 02'))
  await client.sendSlowly('03')
  expect(await client.readToEnd()).toHaveLength(0)
  await server.finished()
  expect(server.connections).toBe(1)
})

test('a wait says in hex what it got instead', async () => {
  await using server = await scriptedServer(async (peer) => {
    await peer.send('be ef')
    await peer.readToEnd()
  })
  using client = await connectPeer(server)
  await expect(client.expect('be ee')).rejects.toThrow('Expected be ee, got be ef')
  await expect(client.read(3, { timeoutMs: 1 })).rejects.toThrow('After 1 ms: wanted 3 bytes, got 0 bytes: (none)')
})

test('an early end says how many bytes were lacking', async () => {
  await using server = await scriptedServer(async (peer) => peer.send('aa'))
  using client = await connectPeer(server)
  await expect(client.read(2)).rejects.toThrow('wanted 2 bytes, but the connection ended after 1 bytes: aa')
})

test('what a script throws is thrown where its server is disposed', async () => {
  const server = await scriptedServer(async (peer) => peer.expect('00'))
  using client = await connectPeer(server)
  await client.send('01')
  await client.closed()
  await expect(server[Symbol.asyncDispose]()).rejects.toThrow('Expected 00, got 01')
})

test('a script that still waits when its server is disposed has not failed', async () => {
  const server = await scriptedServer(async (peer) => {
    await peer.send('00')
    await peer.read(1)
  })
  using client = await connectPeer(server)
  await client.expect('00')
  await server[Symbol.asyncDispose]()
})

test('free ports are free, differ, and are none that the kernel gives to others meanwhile', async () => {
  const range = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
  const ports = await Promise.all(Array.from({ length: 20 }, freePort))
  expect(new Set(ports)).toHaveProperty('size', 20)
  expect(Math.max(...ports)).toBeLessThan(Math.max(Number.parseInt(range, 10), 32_001))
  const servers = ports.map((port) => createServer().listen(port, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  for (const server of servers) server.close()
})

test('a port that something listens on is passed over', async () => {
  const taken = createServer().listen((await freePort()) + 1, '127.0.0.1')
  await once(taken, 'listening')
  expect(await freePort()).not.toBe((taken.address() as AddressInfo).port)
  taken.close()
})
