/**
 * A TCP relay that is far away: each direction has a delay, a rate and a bounded queue, which all connections share. Its
 * arguments are the port that it leads to, the delay of one direction in milliseconds, the bits per second from that port
 * to the client (`Infinity`: unlimited), and the bytes of the queue. Packets are neither lost nor reordered, and
 * connections start without TCP's slow start.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Link, SEGMENT_BYTES } from '../distance/link.ts'
import { endWithParent, listening } from './part.ts'

const [port = 0, delayMs = 0, rate = Infinity, queueBytes = 0] = process.argv.slice(2).map(Number)
const links = {
  up: new Link({ delayMs, rate: Infinity, queueBytes }),
  down: new Link({ delayMs, rate, queueBytes }),
}
const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
  const far = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  const close = () => {
    client.destroy()
    far.destroy()
  }
  for (const socket of [client, far]) socket.on('error', close)
  carry(client, far, links.up)
  carry(far, client, links.down)
})
await once(server.listen(0, '127.0.0.1'), 'listening')
endWithParent()
listening({ tcp: (server.address() as AddressInfo).port })

/** A part of the stream that arrives at `atMs`, or its end. */
interface Packet {
  readonly atMs: number
  readonly bytes?: Buffer
}

function carry(from: Socket, to: Socket, link: Link): void {
  const packets: Packet[] = []
  const send = (bytes?: Buffer) => {
    const atMs = link.arrivalMs(bytes?.length ?? 0, performance.now())
    packets.push({ atMs, ...(bytes ? { bytes } : {}) })
    if (packets.length === 1) deliver()
  }
  const deliver = () => {
    const nowMs = performance.now()
    // Timers count whole milliseconds: half of one is the smallest mean error.
    while (packets.length > 0 && packets[0]!.atMs <= nowMs + 0.5) arrive(to, packets.shift()!)
    if (packets.length > 0) setTimeout(deliver, packets[0]!.atMs - nowMs)
  }
  from.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; at += SEGMENT_BYTES) send(chunk.subarray(at, at + SEGMENT_BYTES))
    hold(from, to, link)
  })
  from.on('end', () => send())
}

function arrive(to: Socket, { bytes }: Packet): void {
  if (bytes === undefined) to.end()
  else if (to.writable) to.write(bytes)
}

/** Stops reading while the queue of the link is full, or the receiver does not read. */
function hold(from: Socket, to: Socket, link: Link): void {
  const fullForMs = link.fullForMs(performance.now())
  if (fullForMs === 0 && !to.writableNeedDrain) return
  from.pause()
  if (to.writableNeedDrain) to.once('drain', () => from.resume())
  else setTimeout(() => from.resume(), fullForMs)
}
