/**
 * A hypervisor with consoles that stream, echo or send nothing, each at a port with an RFB handshake and at one
 * without. A console becomes active at the client's first byte after ServerInit. It reports
 * how many bytes were sent, and how many silent consoles have received. With a folder of `temporaryPki` as its argument, each
 * console is also at a port with VeNCrypt, and at one with TLS alone.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { serverCertificate, vencryptServer } from '@oriel/testkit'
import { endWithParent, listening } from './part.ts'
import { handshake, initialise } from './rfb-server.ts'

/** The size of one write. Small for `offer`, whose client stalls, so that the count of sent bytes is precise. */
const PIECE_BYTES = { stream: 256 * 1024, offer: 64 * 1024 }
const OFFERED_BYTES = 512 * 1024 * 1024
let sentBytes = 0
let receivedBytes = 0

/** Plays the guest. `early` contains the bytes that arrived together with the first one. */
type Play = (socket: Socket, early: Buffer) => void

const guests = {
  silent: (socket, early) => {
    receivedBytes += early.length
    socket.on('data', (bytes) => {
      receivedBytes += bytes.length
    })
  },
  echo: (socket, early) => {
    socket.write(early)
    socket.on('data', (bytes) => socket.write(bytes))
  },
  stream: (socket) => pour(socket, PIECE_BYTES.stream, Number.POSITIVE_INFINITY),
  offer: (socket) => pour(socket, PIECE_BYTES.offer, OFFERED_BYTES),
  /** Accepts connections and never sends. */
  hang: () => {},
} as const satisfies Record<string, Play>

const ports: Record<string, number> = {}
for (const [name, guest] of Object.entries(guests)) {
  ports[name] = await listen((socket) => startedBy(socket, guest))
  ports[`rfb-${name}`] = await listen((socket) =>
    name === 'hang' ? undefined : handshake(socket, () => startedBy(socket, guest)),
  )
}
const [pki] = process.argv.slice(2)
if (pki !== undefined) Object.assign(ports, await listenWithTls(pki))
process.on('message', () => process.send?.({ sentBytes, receivedBytes }))
endWithParent()
listening(ports)

async function listenWithTls(folder: string): Promise<Record<string, number>> {
  const certificate = await serverCertificate(folder)
  const ports: Record<string, number> = {}
  for (const [name, guest] of Object.entries(guests)) {
    const begin = (socket: Socket) => initialise(socket, () => startedBy(socket, guest))
    ports[`vencrypt-${name}`] = (await vencryptServer({ folder, guest: begin })).port
    const server = createTlsServer({ noDelay: true, ...certificate }, (socket) => {
      socket.on('error', () => {})
      startedBy(socket, guest)
    })
    await once(server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }), 'listening')
    ports[`tls-${name}`] = (server.address() as AddressInfo).port
  }
  return ports
}

async function listen(serve: (socket: Socket) => void): Promise<number> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {})
    serve(socket)
  })
  await once(server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }), 'listening')
  return (server.address() as AddressInfo).port
}

function startedBy(socket: Socket, guest: Play): void {
  socket.once('data', (bytes) => guest(socket, bytes.subarray(1)))
}

function pour(socket: Socket, pieceBytes: number, totalBytes: number): void {
  const piece = Buffer.alloc(pieceBytes, 0xa5)
  let left = totalBytes
  const more = () => {
    if (left <= 0 || socket.destroyed) return
    left -= pieceBytes
    socket.write(piece, (error) => {
      if (error) return
      sentBytes += pieceBytes
      more()
    })
  }
  more()
}
