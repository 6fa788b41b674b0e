import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { byteByByte, connectPeer, duplexPair, freePort, hex, scriptedServer } from '../src/bytes.ts'

test('hex decodes pairs of digits, and throws for other text', () => {
  expect(hex('52 46\n42')).toEqual(Buffer.from('RFB'))
  expect(() => hex('5')).toThrow(TypeError)
  expect(() => hex('zz')).toThrow(TypeError)
})

test('byteByByte delivers each byte as a separate chunk, and the end after the last one', async () => {
  const [near, far] = duplexPair()
  far.end(Buffer.from('hello'))
  const chunks: string[] = []
  for await (const chunk of byteByByte(near)) chunks.push(String(chunk))
  expect(chunks).toEqual(['h', 'e', 'l', 'l', 'o'])
})

test('byteByByte delivers single bytes to a slow reader', async () => {
  const [near, far] = duplexPair()
  far.end(Buffer.from('hello'))
  const lengths: number[] = []
  for await (const chunk of byteByByte(near)) {
    lengths.push(chunk.length)
    for (let turn = 0; turn < 10; turn++) await setImmediate()
  }
  expect(lengths).toEqual([1, 1, 1, 1, 1])
})

test('byteByByte forwards writes and the end', async () => {
  const [near, far] = duplexPair()
  byteByByte(near).end('bye')
  expect(String((await far.toArray())[0])).toBe('bye')
})

test('byteByByte fails with the error of the wrapped stream', async () => {
  const [near] = duplexPair()
  const slow = byteByByte(near)
  slow.resume()
  const failed = once(slow, 'error')
  near.destroy(new Error('cut'))
  expect(String((await failed)[0])).toContain('cut')
})

test('scriptedServer exchanges bytes with a client', async () => {
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

test('a failed wait of a peer reports the received bytes in hexadecimal', async () => {
  await using server = await scriptedServer(async (peer) => {
    await peer.send('be ef')
    await peer.readToEnd()
  })
  using client = await connectPeer(server)
  await expect(client.expect('be ee')).rejects.toThrow('Expected be ee, got be ef')
  await expect(client.read(3, { timeoutMs: 1 })).rejects.toThrow('After 1 ms: wanted 3 bytes, got 0 bytes: (none)')
})

test('a peer reports how many bytes are missing at an early end', async () => {
  await using server = await scriptedServer(async (peer) => peer.send('aa'))
  using client = await connectPeer(server)
  await expect(client.read(2)).rejects.toThrow('wanted 2 bytes, but the connection ended after 1 bytes: aa')
})

test('scriptedServer throws the error of a script when it is disposed', async () => {
  const server = await scriptedServer(async (peer) => peer.expect('00'))
  using client = await connectPeer(server)
  await client.send('01')
  await client.closed()
  await expect(server[Symbol.asyncDispose]()).rejects.toThrow('Expected 00, got 01')
})

test('scriptedServer ignores a script that still waits when it is disposed', async () => {
  const server = await scriptedServer(async (peer) => {
    await peer.send('00')
    await peer.read(1)
  })
  using client = await connectPeer(server)
  await client.expect('00')
  await server[Symbol.asyncDispose]()
})

test('freePort returns different free ports outside of the kernel’s ephemeral range', async () => {
  const range = await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
  const ports = await Promise.all(Array.from({ length: 20 }, freePort))
  expect(new Set(ports)).toHaveProperty('size', 20)
  expect(Math.max(...ports)).toBeLessThan(Math.max(Number.parseInt(range, 10), 32_001))
  const servers = ports.map((port) => createServer().listen(port, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  for (const server of servers) server.close()
})

test('freePort skips a port with a listener', async () => {
  const taken = createServer().listen((await freePort()) + 1, '127.0.0.1')
  await once(taken, 'listening')
  expect(await freePort()).not.toBe((taken.address() as AddressInfo).port)
  taken.close()
})
