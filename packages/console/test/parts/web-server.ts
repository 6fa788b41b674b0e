/** A WebSocket server in place of a proxy, which a test plays by hand. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { hello, pixels, rectangle, update } from './server.ts'

/** What a test does with one connection. */
export interface Viewer {
  readonly socket: WebSocket
  /** Sends bytes of the VNC server. */
  send(bytes: Uint8Array): void
  /** Sends an update of the whole screen, by letters. */
  show(letters: string): void
  /** What the client has sent, as hexadecimal digits. */
  sent(): string
  /** Resolves when the client has sent these digits. */
  untilSent(digits: string): Promise<void>
  readonly closed: Promise<{ readonly code: number }>
}

export interface WebServer extends AsyncDisposable {
  /** With a token that must not appear in any message. */
  readonly url: string
  /** Resolves with the next connection. */
  viewer(): Promise<Viewer>
}

export interface WebServerOptions {
  /** Width and height of the screen. */
  readonly size?: readonly [number, number]
  /** The first picture, by letters. None: the screen stays silent after the handshake. */
  readonly picture?: string
  /** Selects the WebSocket subprotocol. Default: binary. */
  readonly protocol?: string
  /** Refuses the Upgrade with this status. */
  readonly status?: number
  /** Says nothing at all. */
  readonly silent?: boolean
  /** A JavaScript module, at each path that ends with `.mjs`. Every other path has an empty page. */
  readonly module?: string
  /** Runs for each connection. */
  readonly script?: (viewer: Viewer) => void
}

export const TOKEN = 'secret-token-of-the-test'

export async function startWebServer(options: WebServerOptions = {}): Promise<WebServer> {
  const { size = [2, 1], picture = 'rg', protocol = 'binary', status } = options
  const server = createServer(({ url = '' }, response) => {
    const isScript = url.endsWith('.mjs')
    response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html').end(isScript ? options.module : '')
  })
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => protocol })
  const waiting: ((viewer: Viewer) => void)[] = []
  const connected: Viewer[] = []
  server.on('upgrade', (request, stream, head) => {
    if (status !== undefined) return stream.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`)
    sockets.handleUpgrade(request, stream, head, (socket) => {
      const viewer = viewerOf(socket, size)
      if (!options.silent) {
        viewer.send(hello(...size))
        if (picture !== '') viewer.show(picture)
      }
      options.script?.(viewer)
      const next = waiting.shift()
      if (next) next(viewer)
      else connected.push(viewer)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/vnc_lite.html?path=%3Ftoken%3D${TOKEN}`,
    viewer: async () => connected.shift() ?? new Promise((resolve) => waiting.push(resolve)),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets.clients) socket.terminate()
      server.close()
    },
  }
}

function viewerOf(socket: WebSocket, size: readonly [number, number]): Viewer {
  let received = ''
  socket.on('message', (data: Buffer) => {
    received += data.toString('hex')
    socket.emit('received')
  })
  const viewer: Viewer = {
    socket,
    send: (bytes) => socket.send(bytes),
    show: (letters) => viewer.send(update([rectangle(0, [0, 0, ...size], pixels(letters))])),
    sent: () => received,
    async untilSent(digits) {
      while (!received.includes(digits)) await once(socket, 'received')
    },
    closed: once(socket, 'close').then(([code]) => ({ code: Number(code) })),
  }
  return viewer
}
