/** Both ends of an RFB connection, reduced to what the tests need. After the handshake the hypervisor echoes. */
import { once } from 'node:events'
import type { Peer } from '@oriel/testkit'
import type { WebSocket } from 'ws'

const VERSION = Buffer.from('RFB 003.008\n')
const [NONE, OK] = [1, Buffer.alloc(4)]

/** Serves a hypervisor that offers security type None and then echoes. */
export async function serveRfb(peer: Peer): Promise<void> {
  await peer.send(VERSION)
  await peer.expect(VERSION)
  await peer.send(Buffer.from([1, NONE]))
  await peer.expect(Buffer.from([NONE]))
  await peer.send(OK)
  peer.socket.on('error', () => {}) // viewers may vanish
  peer.socket.pipe(peer.socket)
  await peer.closed({ timeoutMs: 600_000 })
}

export interface Viewer {
  /** Sends `bytes`, and resolves with the same number of received bytes. */
  echo(bytes: Uint8Array): Promise<Buffer>
  /** Sends ClientInit, and resolves with the name of the desktop. */
  desktopName(): Promise<string>
}

/** Performs the client's handshake on a connecting WebSocket. */
export async function asViewer(socket: WebSocket): Promise<Viewer> {
  const received = await performHandshake(socket)
  return {
    async echo(bytes) {
      socket.send(bytes)
      return received.next(bytes.length)
    },
    async desktopName() {
      socket.send(Buffer.of(1))
      const serverInit = await received.next(24)
      return String(await received.next(serverInit.readUInt32BE(20)))
    },
  }
}

/** The bytes that a server sends after its handshake. */
export interface Received {
  /** Resolves with the next `count` bytes. Rejects once the socket has closed. */
  next(count: number): Promise<Buffer>
}

/** Performs the client's handshake up to ClientInit, which it does not send. */
export async function performHandshake(socket: WebSocket): Promise<Received> {
  const received = collect(socket)
  await once(socket, 'open')
  await received.next(VERSION.length)
  socket.send(VERSION)
  const [, offered] = await received.next(2)
  socket.send(Buffer.from([offered!]))
  await received.next(OK.length)
  return received
}

function collect(socket: WebSocket): Received {
  let bytes = Buffer.alloc(0)
  let news = Promise.withResolvers<void>()
  socket.on('message', (data: Buffer) => {
    bytes = Buffer.concat([bytes, data])
    news.resolve()
    news = Promise.withResolvers()
  })
  const closed = once(socket, 'close').then(([code, text]) => {
    throw new Error(`closed with ${code}: ${text}`)
  })
  closed.catch(() => {})
  return {
    async next(count: number): Promise<Buffer> {
      while (bytes.length < count) await Promise.race([news.promise, closed])
      const taken = bytes.subarray(0, count)
      bytes = bytes.subarray(count)
      return taken
    },
  }
}

/** Serves a hypervisor with a dark screen of 64 by 48 pixels named `web-1`, which ignores the viewer's input. */
export async function serveScreen(peer: Peer): Promise<void> {
  await sendScreen(peer)
  peer.socket.resume()
  await peer.closed({ timeoutMs: 600_000 })
}

/** Serves the same screen, and sends its picture once. */
export async function servePicture(peer: Peer): Promise<void> {
  await sendScreen(peer)
  // RFC 6143 section 7.6.1: a FramebufferUpdate with one rectangle in the encoding Raw.
  await peer.send(Buffer.concat([Buffer.from('0000000100000000004000300000 0000'.replaceAll(' ', ''), 'hex'), PIXELS]))
  peer.socket.resume()
  await peer.closed({ timeoutMs: 600_000 })
}
const PIXELS = Buffer.alloc(64 * 48 * 4)

async function sendScreen(peer: Peer): Promise<void> {
  await peer.send(VERSION)
  await peer.expect(VERSION)
  await peer.send(Buffer.from([1, NONE]))
  await peer.expect(Buffer.from([NONE]))
  await peer.send(OK)
  await peer.read(1)
  peer.socket.on('error', () => {})
  // RFC 6143 section 7.3.2: width, height, pixel format, and the name with its length.
  await peer.send(Buffer.from('0040003020180001 00ff00ff00ff 100800 000000 00000005'.replaceAll(' ', ''), 'hex'))
  await peer.send(Buffer.from('web-1'))
}
