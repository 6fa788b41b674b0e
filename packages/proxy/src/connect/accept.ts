/** Accepts an Upgrade as a WebSocket. */
import { type WebSocket, WebSocketServer } from 'ws'
import type { UpgradeRequest } from './refuse.ts'

/** The largest message of a client: keys and pointer moves are tiny, pasted text is not. */
const MAX_MESSAGE_BYTES = 1024 * 1024

/** Sends 101 and calls `onOpen` before any message of the client can be missed. Rejects if the connection closes first. */
export async function accept(
  { request, socket, head }: UpgradeRequest,
  subprotocol: string | undefined,
  onOpen: (client: WebSocket) => void,
  maxPayload = MAX_MESSAGE_BYTES,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const unopened = () => reject(new Error('the WebSocket did not open'))
  socket.once('close', unopened)
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload,
    handleProtocols: () => subprotocol ?? false,
  })
  // Joins the 101 and the first message of the console's handshake into one write.
  socket.cork()
  try {
    server.handleUpgrade(request, socket, head, (client) => {
      socket.off('close', unopened)
      onOpen(client)
      resolve()
    })
  } finally {
    socket.uncork()
  }
  await promise
}
