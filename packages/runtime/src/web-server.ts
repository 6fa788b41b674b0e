/** HTTP servers with and without TLS, and the replacement of their certificates. */
import { X509Certificate } from 'node:crypto'
import { createServer, type Server, type ServerOptions } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions, type SecureVersion, type TLSSocket } from 'node:tls'
import { isDeepStrictEqual } from 'node:util'
import type * as Type from 'typebox'
import type { listenerTlsTable } from './config/listener-tls.ts'
import type { Logger } from './log.ts'

/** Certificate and key, PEM, and the requirements for the client's TLS. */
export interface ListenerTls {
  readonly cert: string
  readonly key: string
  readonly minVersion: SecureVersion
  readonly ciphers?: string | undefined
}

/** The TLS settings of a table of the configuration. */
export const listenerTls = ({
  cert,
  key,
  min_version,
  ciphers,
}: Type.Static<typeof listenerTlsTable>): ListenerTls => ({
  ...{ cert, key: key.reveal(), minVersion: min_version, ciphers },
})

export interface WebServer {
  readonly server: Server
  /**
   * Replaces the TLS settings for new connections. Returns `false` if they are unchanged.
   * @throws the TLS error if the settings are unusable; the current ones are kept
   */
  secure(tls: ListenerTls): boolean
  /** Drops connections whose TLS handshake has not ended. The HTTP server does not know them, and would wait for them when it closes. */
  dropHandshakes(): void
}

export interface WebServerOptions {
  /** Limits on requests. */
  readonly limits: ServerOptions
  /** Default: the server speaks plain HTTP. */
  readonly tls?: ListenerTls | undefined
  /** Deadline of the TLS handshake in milliseconds; the timeouts of HTTP start after it. */
  readonly handshakeTimeoutMs: number
}

/** Creates a server that does not listen yet. With TLS, it answers plain HTTP with 400 and the right scheme. */
export function createWebServer({ limits, tls, handshakeTimeoutMs }: WebServerOptions): WebServer {
  if (!tls) return { server: createServer(limits), secure: () => false, dropHandshakes: () => {} }
  const server = createTlsServer({ ...limits, ...secureOptions(tls), handshakeTimeout: handshakeTimeoutMs })
  const handshakes = trackHandshakes(server)
  answerPlainHttp(server, handshakes)
  let current = tls
  return {
    server,
    secure: (next) => {
      if (isDeepStrictEqual(next, current)) return false
      // Test the pair first: a failing `setSecureContext` would apply half of it.
      createSecureContext(secureOptions(next))
      server.setSecureContext(secureOptions(next))
      current = next
      return true
    },
    dropHandshakes: () => {
      for (const socket of handshakes.values()) socket.destroy()
    },
  }
}

const secureOptions = ({ cert, key, minVersion, ciphers }: ListenerTls): SecureContextOptions => ({
  ...{ cert, key, minVersion },
  ...(ciphers === undefined ? {} : { ciphers }),
})

/** Contains the words by which clients, Oriel's too, recognise a wrong scheme. */
const PLAIN_HTTP_TEXT = 'The plain HTTP request was sent to HTTPS port: begin the address with https://.\n'
const PLAIN_HTTP_RESPONSE = [
  'HTTP/1.1 400 Bad Request',
  'Content-Type: text/plain; charset=UTF-8',
  `Content-Length: ${Buffer.byteLength(PLAIN_HTTP_TEXT)}`,
  'Connection: close',
  '',
  PLAIN_HTTP_TEXT,
].join('\r\n')

/** Tracks TCP connections until their TLS handshake has ended, by the client's endpoint: TLS has another socket object. */
function trackHandshakes(server: Server): ReadonlyMap<string, Socket> {
  const sockets = new Map<string, Socket>()
  server.on('connection', (socket: Socket) => {
    const client = clientOf(socket)
    sockets.set(client, socket)
    socket.once('close', () => sockets.delete(client))
  })
  server.on('secureConnection', (socket: TLSSocket) => sockets.delete(clientOf(socket)))
  return sockets
}

/** A failed handshake leaves the TCP connection open until its event has been handled. */
function answerPlainHttp(server: Server, handshakes: ReadonlyMap<string, Socket>): void {
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    if (error.code === 'ERR_SSL_HTTP_REQUEST') handshakes.get(clientOf(socket))?.end(PLAIN_HTTP_RESPONSE)
  })
}

const clientOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`

/**
 * Gives a listener the certificate that its table names now. Keeps the current one, and logs why, if the new one is unusable.
 * @param tls Default: the listener has no TLS, so nothing changes
 */
export function reloadCertificate(
  { address, secure }: Pick<WebServer, 'secure'> & { readonly address: string },
  tls: Type.Static<typeof listenerTlsTable> | undefined,
  log: Logger,
): void {
  if (!tls) return
  const facts = { listener: address }
  try {
    const changed = secure(listenerTls(tls))
    const { subject, validTo } = new X509Certificate(tls.cert)
    if (changed) log.info({ ...facts, subject, validTo }, 'certificate replaced')
  } catch (error) {
    log.error({ ...facts, err: error }, 'the new certificate is unusable; keeping the old one')
  }
}
