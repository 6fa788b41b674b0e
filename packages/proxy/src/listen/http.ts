/** One listener: pages for plain requests, consoles for Upgrades. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions, type SecureVersion } from 'node:tls'
import { isDeepStrictEqual } from 'node:util'

import { faultBody, refusal } from '@oriel/contract'
import { isLoopback, listenOn, parseListen } from '@oriel/runtime'
import { admitLocal } from '../admit/local.ts'
import { publicAddress } from '../admit/origin.ts'
import { peerOf, requireProxyHeader } from '../admit/proxy-protocol.ts'
import { hasBadHost, plainAddress, readSite } from '../admit/site.ts'
import { handleUpgrade } from '../connect/connect.ts'
import type { ConnectContext, ListenerFacts } from '../connect/context.ts'
import { isNativeType, kindOf, type ServedConsoleType } from '../consoles/kinds.ts'
import { routeOf } from '../consoles/route.ts'
import { Refused } from '../refused.ts'
import { foreignFrame, foreignReferrer, sendFrameNotice } from './framing.ts'
import type { Page, Pages } from './pages.ts'

export interface ListenerOptions {
  /** `host:port`; port 0 picks a free one. */
  readonly address: string
  /** The public address, if neither the listener nor its balancer reports it. */
  readonly baseUrl?: string | undefined
  readonly consoles: readonly ServedConsoleType[]
  readonly tls?: ListenerTls | undefined
  /** Whether every connection begins with a header of the PROXY protocol, from a trusted balancer. */
  readonly proxyProtocol: boolean
  /** Whether the authority takes no credentials: then a listener on loopback serves only this machine. */
  readonly unauthenticated: boolean
}

/** PEM texts, and what is asked of the client's TLS. */
export interface ListenerTls {
  readonly cert: string
  readonly key: string
  readonly minVersion: SecureVersion
  readonly ciphers?: string | undefined
}

export interface Listener extends ListenerFacts {
  /** The address as the configuration has it, port 0 included. */
  readonly configured: string
  /**
   * Speaks another TLS from the next connection on. False: it is the present one.
   * @throws the error of TLS for one that is unusable; the present one stays
   */
  secure(tls: ListenerTls): boolean
  /** Stops listening; connections that wait for nothing are closed. Consoles that are open stay. */
  stop(): void
  /** Resolves when every connection is closed; whatever is not a console by now is dropped. */
  close(): Promise<void>
}

/** Bounds of a plain request, and of an Upgrade until it is handed over. */
const LIMITS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  /** How often the timeouts above are looked after. */
  connectionsCheckingInterval: 2_000,
}
/** Node would drop headers beyond its count in silence, an Origin among them; the size above bounds them instead. */
const COUNT_HEADERS_BY_SIZE = 0

/**
 * Starts a listener.
 * @param maxConnections beyond it new connections are dropped
 * @throws ListenError when the address cannot be bound
 */
export async function startListener(
  context: ConnectContext,
  pages: Pages,
  { address, baseUrl, consoles, tls, proxyProtocol, unauthenticated }: ListenerOptions,
  maxConnections: number,
): Promise<Listener> {
  const { server, secure } = createWebServer(tls, context.timing.clientHandshakeMs)
  server.maxHeadersCount = COUNT_HEADERS_BY_SIZE
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
  server.on('request', (request, response) => answer(context, pages, facts, request, response))
  server.on('upgrade', (request, socket, head) => {
    handleUpgrade(context, facts, { request, socket, head }).catch((err) => {
      context.log.error({ err }, 'an Upgrade failed because of a fault of the proxy')
      socket.destroy()
    })
  })
  context.log.info({ address: bound, consoles, tls: tls !== undefined }, 'listening')
  return { ...facts, configured: address, secure, ...closers(server, sockets) }
}

/** @param handshakeTimeout of TLS, milliseconds: the timeouts of HTTP begin only after it */
function createWebServer(
  tls: ListenerTls | undefined,
  handshakeTimeout: number,
): { server: Server } & Pick<Listener, 'secure'> {
  if (!tls) return { server: createServer(LIMITS), secure: () => false }
  const server = createTlsServer({ ...LIMITS, ...secureOptions(tls), handshakeTimeout })
  let present = tls
  return {
    server,
    secure: (next) => {
      if (isDeepStrictEqual(next, present)) return false
      // Tried first: a server would be left with half of an unusable pair.
      createSecureContext(secureOptions(next))
      server.setSecureContext(secureOptions(next))
      present = next
      return true
    },
  }
}

const secureOptions = ({ cert, key, minVersion, ciphers }: ListenerTls): SecureContextOptions => ({
  ...{ cert, key, minVersion },
  ...(ciphers === undefined ? {} : { ciphers }),
})

/**
 * The connections that are no consoles, from their first packet on: HTTP knows them only once TLS and a PROXY header are
 * through. TLS hands over another socket than the one that arrived, so they are known by whom they come from.
 */
function trackSockets(server: Server): ReadonlyMap<string, Socket> {
  const sockets = new Map<string, Socket>()
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket)
    sockets.set(peer, socket)
    socket.once('close', () => sockets.delete(peer))
  })
  server.on('upgrade', ({ socket }) => sockets.delete(peerOf(socket)))
  return sockets
}

function closers(server: Server, sockets: ReadonlyMap<string, Socket>): Pick<Listener, 'stop' | 'close'> {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  return {
    stop: () => {
      server.close(() => resolve())
    },
    close: () => {
      server.closeAllConnections()
      for (const socket of sockets.values()) socket.destroy()
      return closed
    },
  }
}

function answer(
  context: ConnectContext,
  pages: Pages,
  listener: ListenerFacts,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { method, url = '' } = request
  const foreign = listener.onlyLocal && foreignRefusal(context, listener, request)
  if (foreign) return void fault(response, foreign.status, foreign.text)
  const route = routeOf(listener.consoles, url)
  const frontend = route && isNativeType(route.type) ? context.frontends[route.type] : undefined
  if (route && frontend?.respond(listener.address, route.path, request, response)) return
  const page = pageAt(pages, listener, url)
  if (hasBadHost(request)) fault(response, 400, 'Bad request: the Host header is repeated or malformed.')
  else if (method !== 'GET' && method !== 'HEAD') fault(response, 405, 'Only GET and HEAD are answered here.', ALLOW)
  else if (page && isDocument(page)) sendDocument(context, request, response, page)
  else if (page) send(request, response, page)
  else fault(response, 404, 'There is nothing here.')
}

/** Why a listener that serves only this machine refuses a page of another site. */
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
  const alias = route && own(kindOf(route.type).pages, path)
  return pages.get(!alias ? path : `/${alias}`)
}

const ALLOW = { Allow: 'GET, HEAD' }

const own = (pages: Readonly<Record<string, string>>, path: string) =>
  Object.hasOwn(pages, path) ? pages[path] : undefined

const isDocument = ({ headers }: Page) => headers['Content-Type']!.startsWith('text/html')

const REFUSED_FRAME =
  'a page may not show consoles in frames: origin.allowed does not list its origin; if the page is yours, add this line'
const FOREIGN_REFERRER =
  'a page of another origin links to a console page; if it should show consoles in frames, add this line'

/** Sends a page, or, for a frame that may not show it, one that says why. */
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

/** The site of a request for a page, or `undefined` if it names none: health checks that speak HTTP/1.0 do not. */
function siteOf({ headers, rawHeaders, socket }: IncomingMessage, context: ConnectContext) {
  try {
    const request = { headers, rawHeaders, peerAddress: socket.remoteAddress }
    return readSite(request, context.trustedProxies, context.forwardedHeader)
  } catch {
    return undefined
  }
}

function send({ method, headers }: IncomingMessage, response: ServerResponse, { body, headers: given }: Page): void {
  if (headers['if-none-match'] === given.ETag) {
    const { 'Content-Length': _, ...rest } = given
    response.writeHead(304, rest).end()
  } else {
    response.writeHead(200, given).end(method === 'HEAD' ? undefined : body)
  }
}

function fault(response: ServerResponse, status: number, message: string, headers: Record<string, string> = {}): void {
  const body = JSON.stringify(faultBody(status, message))
  response.writeHead(status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}
