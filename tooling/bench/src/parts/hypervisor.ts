/**
 * A hypervisor with consoles that stream, echo or say nothing, each at a port for RFB and at one that is plain. What a
 * console does begins with the client's first byte after handshake and ServerInit; `sent` tells how much left this process.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { endWithParent, listening } from './part.ts'
import { shake } from './rfb-server.ts'

/** Given to the system in one piece: small for a console that is offered to a stalled client, so that it is counted finely. */
const PIECE_BYTES = { stream: 256 * 1024, offer: 64 * 1024 }
const OFFERED_BYTES = 512 * 1024 * 1024
let sentBytes = 0

/** Plays the guest; `early` has the bytes that arrived with the first one. */
type Play = (socket: Socket, early: Buffer) => void

const guests = {
  silent: () => {},
  echo: (socket, early) => {
    socket.write(early)
    socket.on('data', (bytes) => socket.write(bytes))
  },
  stream: (socket) => pour(socket, PIECE_BYTES.stream, Number.POSITIVE_INFINITY),
  offer: (socket) => pour(socket, PIECE_BYTES.offer, OFFERED_BYTES),
  /** Accepts, and never says a word. */
  hang: () => {},
} as const satisfies Record<string, Play>

const ports: Record<string, number> = {}
for (const [name, guest] of Object.entries(guests)) {
  ports[name] = await listen((socket) => startedBy(socket, guest))
  ports[`rfb-${name}`] = await listen((socket) =>
    name === 'hang' ? undefined : shake(socket, () => startedBy(socket, guest)),
  )
}
process.on('message', () => process.send?.({ sentBytes }))
endWithParent()
listening(ports)

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
