/** A viewer of a screen that reads the messages of a VNC server, whose encodings of pixels are only Raw. */
import type { WebSocket } from 'ws'
import { performHandshake, type Received } from './rfb.ts'

const RAW = 0
const EXTENDED_DESKTOP_SIZE = -308
/** A FramebufferUpdateRequest that is not incremental. */
const FEW_PIXELS = Buffer.of(3, 0, 0, 0, 0, 0, 0, 16, 0, 1)

/** The types of the messages that a server sent, and the encodings of their rectangles. */
interface ServerMessages {
  readonly types: number[]
  readonly encodings: number[]
}

export interface ScreenViewer {
  /**
   * Requests a few pixels and resolves once they have arrived, so that the server has read all messages before the request.
   * Returns what it sent before the pixels.
   */
  roundTrip(): Promise<ServerMessages>
}

/** Performs the handshake up to ServerInit. @param shared the flag in ClientInit */
export async function asScreenViewer(socket: WebSocket, shared: number): Promise<ScreenViewer> {
  const received = await performHandshake(socket)
  socket.send(Buffer.of(shared))
  const serverInit = await received.next(24)
  await received.next(serverInit.readUInt32BE(20))
  return {
    async roundTrip() {
      const before: ServerMessages = { types: [], encodings: [] }
      socket.send(FEW_PIXELS)
      while (!before.encodings.includes(RAW)) await readMessage(received, before)
      return { types: before.types.slice(0, -1), encodings: before.encodings.filter((encoding) => encoding !== RAW) }
    },
  }
}

async function readMessage(received: Received, { types, encodings }: ServerMessages): Promise<void> {
  const type = (await received.next(1)).readUInt8()
  types.push(type)
  if (type === 0) await readUpdate(received, encodings)
  else if (type === 3) await received.next(Math.abs((await received.next(7)).readInt32BE(3)))
  else if (type === 250) await received.next(3)
  else throw new Error(`the server sent a message of type ${type}`)
}

async function readUpdate(received: Received, encodings: number[]): Promise<void> {
  const rectangles = (await received.next(3)).readUInt16BE(1)
  for (let i = 0; i < rectangles; i += 1) {
    const header = await received.next(12)
    const encoding = header.readInt32BE(8)
    encodings.push(encoding)
    if (encoding === RAW) await received.next(4 * header.readUInt16BE(4) * header.readUInt16BE(6))
    // The number of screens, padding, and 16 bytes for each.
    if (encoding === EXTENDED_DESKTOP_SIZE) await received.next(16 * (await received.next(4)).readUInt8())
  }
}
