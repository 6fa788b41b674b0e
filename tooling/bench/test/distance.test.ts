import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { Link } from '../src/distance/link.ts'
import { startPart } from '../src/fork.ts'

describe('an emulated link', () => {
  it('delays bytes and nothing else if it has no rate', () => {
    const link = new Link({ delayMs: 40, rate: Infinity, queueBytes: 1000 })
    expect([link.arrivalMs(1, 100), link.arrivalMs(1_000_000, 100)]).toEqual([140, 140])
    expect(link.fullForMs(100)).toBe(0)
  })

  it('carries bytes one after another at its rate', () => {
    const link = new Link({ delayMs: 40, rate: 8000, queueBytes: 1000 })
    expect([link.arrivalMs(10, 100), link.arrivalMs(10, 100)]).toEqual([150, 160])
    expect(link.arrivalMs(10, 500)).toBe(550)
  })

  it('is full while more bytes than its queue holds wait', () => {
    const link = new Link({ delayMs: 40, rate: 8000, queueBytes: 100 })
    link.arrivalMs(100, 0)
    expect(link.fullForMs(0)).toBe(0)
    link.arrivalMs(50, 0)
    expect(link.fullForMs(0)).toBe(50)
    expect(link.fullForMs(60)).toBe(0)
  })
})

describe('the relay with an emulated link', () => {
  it('carries all bytes in order, and the end, through a queue that they fill', async () => {
    await using echo = await startEcho()
    await using relay = await startPart('distant', [echo.port, 1, 80_000_000, 4096].map(String))
    const client = connect(relay.ports.tcp!, '127.0.0.1')
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251))
    client.end(sent)
    const received = await client.toArray()
    expect(Buffer.concat(received).equals(sent)).toBe(true)
  })
})

async function startEcho() {
  const server = createServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return { port, [Symbol.asyncDispose]: async () => void server.close() }
}
