/** A port for SPICE clients, plaintext or TLS, with limits for connections that are not authenticated yet. */
import { createServer, type Server, type Socket } from 'node:net'
import { createSecureContext, createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import { listenOn, parseListen } from '@oriel/runtime'
import { requireProxyHeader } from '../../admit/proxy-protocol.ts'
import { RateLimit } from '../../admit/rate-limit.ts'
import { plainAddress } from '../../admit/site.ts'
import { Waiting } from '../../admit/waiting.ts'
import { readLink } from '../wire/client-link.ts'
import { buildLinkErrorReply } from '../wire/link.ts'
import { SocketReader } from '../wire/socket-reader.ts'
import { handleConnection } from './channel.ts'
import type { SpiceContext } from './context.ts'
import { endWith } from './refuse.ts'

/** Certificate and key, PEM. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

export interface NativeListenerOptions {
  /** `host:port`; port 0 picks a free one. */
  readonly address: string
  /** Default: plaintext. */
  readonly tls?: Certificate | undefined
  /** Whether to answer every link only with "TLS is needed". */
  readonly onlyRefers?: boolean
  /** Whether every connection begins with a header of the PROXY protocol, from a trusted balancer. */
  readonly proxyProtocol: boolean
  /** Deadline for TLS, link and ticket together. */
  readonly handshakeTimeoutMs: number
  /** Limits for unauthenticated connections: in total, and per address (for IPv6, per /64). */
  readonly maxWaiting: number
  readonly maxWaitingPerClient: number
  /** When all slots are taken: how long until a connection that has sent something may be replaced. */
  readonly displacedAfterMs: number
}

export interface NativeListener {
  /** The bound `host:port`. */
  readonly address: string
  /**
   * Replaces the certificate for new connections.
   * @throws the TLS error if the certificate is unusable; the current one is kept
   */
  secure(certificate: Certificate): void
  /** Stops listening. Open channels continue. */
  stop(): void
  /** Drops every connection; resolves when the port is closed. */
  close(): Promise<void>
}

const KEEP_ALIVE_MS = 30_000
const TLS = { minVersion: 'TLSv1.2' } as const

/** @throws ListenError if the address cannot be bound; Error if certificate or key are unusable */
export async function startNativeListener(
  context: SpiceContext,
  options: NativeListenerOptions,
): Promise<NativeListener> {
  const { address, tls } = options
  const warnings = new RateLimit({ perMinute: 1 })
  const waiting = new Waiting({
    ...options,
    maxWaiting: () => options.maxWaiting,
    onDisplaced: (client) => {
      if (!warnings.take(''))
        context.log.warn(
          { client, limit: 'waiting SPICE clients' },
          'too many waiting connections: a new one replaced this',
        )
    },
  })
  const tcp = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS } as const
  const { handshakeTimeoutMs: handshakeTimeout } = options
  const secured = tls && createTlsServer({ ...tcp, ...tls, ...TLS, handshakeTimeout })
  const server: Server = secured ?? createServer(tcp)
  const bound = await listenOn(server, parseListen(address))
  const sockets = new Set<Socket>()
  const accept = (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket)).on('error', () => {})
    handleSocket(context, bound, socket, waiting, options).catch((err) => {
      context.log.error({ err }, 'a SPICE connection failed with an unexpected error of the proxy')
      socket.destroy()
    })
  }
  server.on('connection', (socket) => waiting.arrive(socket))
  if (tls) {
    server.on('secureConnection', accept)
    server.on('tlsClientError', (error: Error, socket: Socket) => {
      context.log.debug(
        { listener: bound, client: plainAddress(socket.remoteAddress), detail: error.message },
        'the TLS handshake with a client failed',
      )
    })
  } else {
    server.on('connection', accept)
  }
  if (options.proxyProtocol) requireProxyHeader(server, { trusted: context.trustedProxies, log: context.log })
  context.log.info({ address: bound, consoles: ['spice-direct'], tls: tls !== undefined, native: true }, 'listening')
  const secure = (certificate: Certificate) => secured && replaceCertificate(secured, certificate)
  return { address: bound, secure, ...closers(server, sockets) }
}

/** Replaces the certificate. Tests it first: a failing `setSecureContext` would apply half of an unusable pair. */
function replaceCertificate(server: TlsServer, certificate: Certificate): void {
  createSecureContext({ ...certificate, ...TLS })
  server.setSecureContext({ ...certificate, ...TLS })
}

function closers(server: Server, sockets: ReadonlySet<Socket>): Pick<NativeListener, 'stop' | 'close'> {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  return {
    stop: () => void server.close(() => resolve()),
    close: () => {
      for (const socket of sockets) socket.destroy()
      return closed
    },
  }
}

async function handleSocket(
  context: SpiceContext,
  listener: string,
  socket: Socket,
  waiting: Waiting,
  { onlyRefers = false }: NativeListenerOptions,
): Promise<void> {
  const slot = waiting.slotOf(socket)
  if (!slot) return void socket.destroy()
  const { signal, settled } = slot
  const client = plainAddress(socket.remoteAddress)
  const lateOrClosing = AbortSignal.any([signal, context.closing])
  if (onlyRefers) await refer(socket, lateOrClosing, context.settings.flushTimeoutMs)
  else await handleConnection(context, { socket, client, listener, signal: lateOrClosing, settled })
  // A refused or referred client counts until its connection is closed.
  if (socket.destroyed) settled()
  else socket.once('close', settled)
}

/** Refers the client to TLS. A viewer whose file contains the TLS port then connects there by itself. */
async function refer(socket: Socket, signal: AbortSignal, flushTimeoutMs: number): Promise<void> {
  signal.addEventListener('abort', () => socket.destroy(), { once: true })
  try {
    await readLink(new SocketReader(socket))
    endWith(socket, buildLinkErrorReply('need_secured'), flushTimeoutMs)
  } catch {
    socket.destroy()
  }
}
