/** The checks that every WebSocket begins with, whether it opens a console or asks who is there. */
import type { IncomingMessage } from 'node:http'
import { admitLocal } from '../admit/local.ts'
import { admitOrigin, type Origin } from '../admit/origin.ts'
import { readSite, type Site } from '../admit/site.ts'
import { isNativeType, type WebSocketConsoleType } from '../consoles/kinds.ts'
import { routeOf } from '../consoles/route.ts'
import { Refused } from '../refused.ts'
import type { ConnectContext, Connecting, ListenerFacts } from './context.ts'
import { checkUpgrade } from './upgrade.ts'

export interface WebSocketRoute {
  readonly type: WebSocketConsoleType
  /** The path below the type's prefix. */
  readonly path: string
}

/** Checks the request itself. @throws Refused */
export function checkRequest({ context, listener, upgrade: { request } }: Connecting): WebSocketRoute {
  refuseWhenDraining(context)
  checkUpgrade(request)
  if (listener.onlyLocal) admitLocal(request.rawHeaders, context.allowedOrigins)
  return requireRoute(listener, request)
}

export function refuseWhenDraining({ draining }: ConnectContext): void {
  if (draining()) throw new Refused('draining', 'the proxy is stopping')
}

function requireRoute({ consoles }: ListenerFacts, { url = '' }: IncomingMessage): WebSocketRoute {
  const route = routeOf(consoles, url)
  if (!route) throw new Refused('not_found', 'no console type has this path')
  const { type, path } = route
  if (isNativeType(type)) throw new Refused('not_found', `console type ${type} has no WebSocket`)
  return { type, path }
}

/** A client whose connection counts as pending until disposal. */
export interface Arrival extends Disposable {
  readonly site: Site
  /** Checks the page's origin. @throws Refused `foreign_origin` */
  admitOrigin(): Origin
}

/** Finds out who the client is, and counts its connection. @throws Refused */
export function arrive(connecting: Connecting): Arrival {
  const { context, listener, upgrade } = connecting
  const { request } = upgrade
  const site = readSite(siteRequest(request), context.trustedProxies, context.forwardedHeader)
  connecting.client = site.client
  const pending = context.unauthenticatedLimits.connecting(request.socket, site.client)
  return {
    site,
    admitOrigin: () => admitOrigin(request.rawHeaders, site, context.allowedOrigins, listener.publicAddress),
    [Symbol.dispose]: () => pending[Symbol.dispose](),
  }
}

const siteRequest = ({ headers, rawHeaders, socket }: IncomingMessage) => ({
  headers,
  rawHeaders,
  peerAddress: socket.remoteAddress,
})
