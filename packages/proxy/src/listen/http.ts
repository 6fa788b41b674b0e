/** An HTTP listener: serves pages, and consoles by Upgrade. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

import { refusal } from '@oriel/contract'
import { createWebServer, isLoopback, type ListenerTls, listenOn, parseListen, type WebServer } from '@oriel/runtime'
import { admitLocal } from '../admit/local.ts'
import { publicAddress } from '../admit/origin.ts'
import { endpointsOf, requireProxyHeader } from '../admit/proxy-protocol.ts'
import { hasBadHost, plainAddress, readSite } from '../admit/site.ts'
import { handleUpgrade } from '../connect/connect.ts'
import type { ConnectContext, ListenerFacts } from '../connect/context.ts'
import { isNativeType, kindOf, type ServedConsoleType } from '../consoles/kinds.ts'
import { routeOf } from '../consoles/route.ts'
import { Refused } from '../refused.ts'
import { acceptedCodings } from './encodings.ts'
import { foreignFrame, foreignReferrer, sendFrameNotice } from './framing.ts'
import type { Page, Pages } from './pages.ts'
import { isResumePath, respondResume } from './resume.ts'
import { sendFault } from './send-fault.ts'

export interface ListenerOptions {
  /** `host:port`; port 0 picks a free one. */
  readonly address: string
  /** The public scheme and host. Default: derived from the request's headers and from whether the listener has TLS. */
  readonly baseUrl?: string | undefined
  readonly consoles: readonly ServedConsoleType[]
  readonly tls?: ListenerTls | undefined
  /** Whether every connection begins with a header of the PROXY protocol, from a trusted load balancer. */
  readonly proxyProtocol: boolean
  /**
   * Whether the authority requires no credentials. A listener on loopback then accepts only requests whose Host and Origin
   * are local or allowed, against DNS rebinding.
   */
  readonly unauthenticated: boolean
}

export interface Listener extends ListenerFacts, Pick<WebServer, 'secure'> {
  /** The configured address, in which the port may be 0. */
  readonly configured: string
  /** Stops listening and closes idle connections. Open consoles continue. */
  stop(): void
  /** Drops every connection that is not a console, and resolves when the consoles are closed too. Call `stop` first. */
  close(): Promise<void>
}

/** The limits on requests, including Upgrades. */
const LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  /** How often Node checks the timeouts above. */
  connectionsCheckingInterval: 2_000,
}
/** Turns Node's limit on the number of headers off: it silently drops later ones, such as Origin. `maxHeaderSize` limits them. */
const NO_HEADER_COUNT = 0

/**
 * Starts a listener.
 * @param maxConnections the number of connections beyond which new ones are dropped
 * @throws ListenError if the address cannot be bound
 */
export async function startListener(
  context: ConnectContext,
  pages: Pages,
  { address, baseUrl, consoles, tls, proxyProtocol, unauthenticated }: ListenerOptions,
  maxConnections: number,
): Promise<Listener> {
  const { server, secure } = createWebServer({
    limits: LIMITS,
    tls,
    handshakeTimeoutMs: context.timing.clientHandshakeMs,
  })
  server.maxHeadersCount = NO_HEADER_COUNT
  server.maxConnections = maxConnections
  server.on('connection', (socket: Socket) => context.unauthenticatedLimits.arrive(socket))
  if (proxyProtocol) requireProxyHeader(server, { trusted: context.trustedProxies, log: context.log })
  const sockets = trackSockets(server)
  const bound = await listenOn(server, parseListen(address))
  const onlyLocal = unauthenticated && isLoopback(parseListen(address).host)
  const facts: ListenerFacts = {
    address: bound,
    consoles,
    onlyLocal,
    publicAddress: publicAddress(tls !== undefined, baseUrl),
  }
  server.on('request', (request, response) => respond(context, pages, facts, request, response))
  server.on('upgrade', (request, socket, head) => {
    handleUpgrade(context, facts, { request, socket, head }).catch((err) => {
      context.log.error({ err }, 'an Upgrade failed with an unexpected error of the proxy')
      socket.destroy()
    })
  })
  context.log.info({ address: bound, consoles, tls: tls !== undefined }, 'listening')
  return { ...facts, configured: address, secure, ...closers(server, sockets) }
}

/**
 * Tracks connections that are not consoles, from the TCP connection on: the HTTP server knows them only after TLS and the
 * PROXY header. Keyed by the connection's two endpoints, because a TLS server emits another socket object than the TCP server.
 */
function trackSockets(server: Server): ReadonlyMap<string, Tracked> {
  const sockets = new Map<string, Tracked>()
  server.on('connection', (socket: Socket) => {
    const peer = endpointsOf(socket)
    const forget = () => void sockets.delete(peer)
    sockets.set(peer, { socket, forget })
    socket.on('close', forget)
  })
  server.on('upgrade', ({ socket }) => {
    const tracked = sockets.get(endpointsOf(socket))
    tracked?.socket.off('close', tracked.forget)
    tracked?.forget()
  })
  return sockets
}

interface Tracked {
  /** The TCP connection, beneath TLS if the listener has that. */
  readonly socket: Socket
  /** Its listener for `close`. */
  readonly forget: () => void
}

function closers(server: Server, sockets: ReadonlyMap<string, Tracked>): Pick<Listener, 'stop' | 'close'> {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  return {
    stop: () => {
      server.close(() => resolve())
    },
    close: () => {
      server.closeAllConnections()
      for (const { socket } of sockets.values()) socket.destroy()
      return closed
    },
  }
}

function respond(
  context: ConnectContext,
  pages: Pages,
  listener: ListenerFacts,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { method, url = '' } = request
  const foreign = listener.onlyLocal && foreignRefusal(context, listener, request)
  if (foreign) return void sendFault(response, foreign.status, foreign.text)
  const route = routeOf(listener.consoles, url)
  const frontend = route && isNativeType(route.type) ? context.frontends[route.type] : undefined
  if (route && frontend?.respond(listener.address, route.path, request, response)) return
  if (isResumePath(context, route) && method === 'POST') return void respondResume(context, listener, request, response)
  const page = pageAt(pages, listener, url)
  if (hasBadHost(request)) sendFault(response, 400, 'Bad request: the Host header is repeated or malformed.')
  else if (method !== 'GET' && method !== 'HEAD')
    sendFault(response, 405, 'Method not allowed: use GET or HEAD.', ALLOW)
  else if (page && isDocument(page)) sendDocument(context, request, response, page)
  else if (page) send(request, response, page)
  else sendFault(response, 404, 'Not found: no page has this path.')
}

/** Checks the Host and Origin of a request to a local listener. Returns the refusal, logged and counted, or `undefined`. */
function foreignRefusal(
  { allowedOrigins, metrics, log }: ConnectContext,
  { address }: ListenerFacts,
  request: IncomingMessage,
) {
  try {
    admitLocal(request.rawHeaders, allowedOrigins)
    return undefined
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    metrics.admission(error.refusal)
    const client = plainAddress(request.socket.remoteAddress)
    log.info({ listener: address, client, refusal: error.refusal, detail: error.message }, 'refused')
    return refusal(error.refusal)
  }
}

function pageAt(pages: Pages, listener: ListenerFacts, url: string) {
  const route = routeOf(listener.consoles, url)
  const path = route?.path ?? url.split(/[?#]/, 1)[0]!
  const file = route && fileAt(kindOf(route.type).pages, path)
  return pages.get(!file ? path : `/${file}`)
}

const ALLOW = { Allow: 'GET, HEAD' }

const fileAt = (files: Readonly<Record<string, string>>, path: string) =>
  Object.hasOwn(files, path) ? files[path] : undefined

const isDocument = ({ headers }: Page) => headers['Content-Type']!.startsWith('text/html')

const REFUSED_FRAME =
  'a page may not show consoles in frames: origin.allowed does not list its origin; if the page is yours, add this line'
const FOREIGN_REFERRER =
  'a page of another origin links to a console page; if it should show consoles in frames, add this line'

/** Sends a page, or, for a frame that may not show it, a notice with the reason. */
function sendDocument(context: ConnectContext, request: IncomingMessage, response: ServerResponse, page: Page): void {
  const { allowedOrigins, refusedOrigins } = context
  const frame = foreignFrame(request.headers, allowedOrigins)
  const site = siteOf(request, context)
  const referrer = site && foreignReferrer(request.headers, site, allowedOrigins)
  if (frame?.origin !== undefined) refusedOrigins.report(frame.origin, REFUSED_FRAME)
  else if (referrer !== undefined) refusedOrigins.report(referrer, FOREIGN_REFERRER, 'info')
  if (frame) sendFrameNotice(response, frame)
  else send(request, response, page)
}

/** Returns the site of a request, or `undefined` without a Host header, as in health checks that speak HTTP/1.0. */
function siteOf({ headers, rawHeaders, socket }: IncomingMessage, context: ConnectContext) {
  try {
    const request = { headers, rawHeaders, peerAddress: socket.remoteAddress }
    return readSite(request, context.trustedProxies, context.forwardedHeader)
  } catch {
    return undefined
  }
}

function send({ method, headers }: IncomingMessage, response: ServerResponse, page: Page): void {
  const coding = acceptedCodings(headers['accept-encoding']?.toString()).find((coding) => page.compressed.has(coding))
  const chosen = coding === undefined ? page : page.compressed.get(coding)!
  if (headers['if-none-match'] === chosen.headers.ETag) {
    const { 'Content-Length': _, 'Content-Encoding': __, ...rest } = chosen.headers
    response.writeHead(304, rest).end()
  } else {
    response.writeHead(200, chosen.headers).end(method === 'HEAD' ? undefined : chosen.body)
  }
}
