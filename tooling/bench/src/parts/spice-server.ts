/**
 * A hypervisor's SPICE server without TLS: `spice-server.ts PORT`. It accepts every ticket. The n-th main channel,
 * counted from 0, belongs to guest n. A display channel streams after the client's INIT; the field for the size of the
 * cache contains the length of the messages.
 */
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { ByteReader } from '../spice/byte-reader.ts'
import {
  channels,
  common,
  instanceOf,
  LINK_HEADER_BYTES,
  linkMessage,
  message,
  TICKET_BYTES,
  u32,
} from '../spice/wire.ts'

/** The size of one write. */
const PIECE_BYTES = 256 * 1024
/** DRAW_COPY, the most frequent message of a screen. */
const DRAW_COPY = 304
const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
const KEY = publicKey.export({ type: 'spki', format: 'der' })
let guests = 0

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {})
  void serve(socket).catch(() => socket.destroy())
})
await once(server.listen({ port: Number(process.argv[2]), host: '127.0.0.1', backlog: 4096 }), 'listening')

async function serve(socket: Socket): Promise<void> {
  const reader = new ByteReader(socket)
  const head = await reader.read(LINK_HEADER_BYTES)
  const link = await reader.read(head.readUInt32LE(12))
  const isMain = link[4] === channels.main
  const words = isMain ? [0x0f] : [0x1052]
  socket.write(linkMessage(Buffer.concat([u32(0), KEY]), [common], words))
  await reader.read(TICKET_BYTES)
  socket.write(u32(0))
  if (isMain) greet(socket, guests++)
  if (link[4] === channels.display) await draw(socket, reader)
  else reader.stop()
}

/** Sends the first messages of QEMU: INIT with the session's id, NAME, UUID and CHANNELS_LIST. */
function greet(socket: Socket, guest: number): void {
  const uuid = Buffer.from(instanceOf(guest).replaceAll('-', ''), 'hex')
  const list = [channels.display, channels.inputs, channels.cursor].flatMap((type) => [type, 0])
  socket.write(
    Buffer.concat([
      message(103, Buffer.concat([u32(guest + 1), Buffer.alloc(28)])),
      message(113, Buffer.concat([u32(6), Buffer.from('bench\0')])),
      message(114, uuid),
      message(104, Buffer.concat([u32(list.length / 2), Buffer.from(list)])),
    ]),
  )
}

async function draw(socket: Socket, reader: ByteReader): Promise<void> {
  const init = await reader.read(6 + 14)
  const bytes = Number(init.readBigInt64LE(7))
  reader.stop()
  const one = message(DRAW_COPY, Buffer.alloc(bytes - 6, 0xa5))
  const piece = Buffer.concat(Array.from({ length: PIECE_BYTES / bytes }, () => one))
  const more = () => void socket.write(piece, (error) => error ?? more())
  more()
}
