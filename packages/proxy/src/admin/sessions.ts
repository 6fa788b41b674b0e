/**
 * `/sessions` of the admin listener: lists open sessions and ends them. Its callers see instances and addresses of clients,
 * never a credential (CVE-2025-54289); only DELETE changes something.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AdminRoutes, isLocalHost, matchesSha256 } from '@oriel/runtime'
import type { OpenSession } from '../session/open-session.ts'

/** One open session in a response. */
export interface SessionItem {
  readonly id: string
  readonly instance: string
  readonly type: string
  /** The client's address, behind trusted proxies. */
  readonly client: string
  /** The `host:port` of the listener through which it came. */
  readonly listener: string
  /** ISO 8601, in UTC. */
  readonly started: string
  readonly bytes_to_client: number
  readonly bytes_to_console: number
  /** How long ago the client last sent something. */
  readonly idle_seconds: number
}

/** The sessions of a proxy, whether they are in this process or in others. */
export interface SessionControl {
  list(): Promise<readonly SessionItem[]>
  /** Ends a session with the reason `ended`. Returns whether it existed. */
  end(id: string): Promise<boolean>
}

export interface SessionRoutesOptions {
  readonly sessions: SessionControl
  /** SHA-256 of the token that callers must send. Default: no token, which is for a listener on loopback only. */
  readonly tokenSha256?: string | undefined
}

/** Creates the routes for `createAdminListener`. */
export function sessionRoutes({ sessions, tokenSha256 }: SessionRoutesOptions): AdminRoutes {
  return async (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0]!
    const route = /^\/sessions(?:\/([^/]+))?$/.exec(path)
    if (!route) return false
    send(request, response, refusalOf(request, tokenSha256) ?? (await reply(sessions, request.method ?? '', route[1])))
    return true
  }
}

/** Describes an open session to callers. */
export function sessionItem({ view, lastInputMs }: OpenSession): SessionItem {
  return {
    id: view.id,
    instance: view.instance,
    type: view.type,
    client: view.client,
    listener: view.listener,
    started: view.startedAt.toISOString(),
    bytes_to_client: view.bytesToClient,
    bytes_to_console: view.bytesToConsole,
    idle_seconds: Math.floor((performance.now() - lastInputMs) / 1000),
  }
}

interface Reply {
  readonly status: number
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

async function reply(sessions: SessionControl, method: string, id: string | undefined): Promise<Reply> {
  const read = method === 'GET' || method === 'HEAD'
  if (id === undefined)
    return read ? { status: 200, body: { sessions: await sessions.list() } } : notAllowed('GET, HEAD')
  if (method === 'DELETE') return (await sessions.end(id)) ? { status: 204 } : NOT_FOUND
  if (!read) return notAllowed('GET, HEAD, DELETE')
  const session = (await sessions.list()).find((record) => record.id === id)
  return session ? { status: 200, body: { session } } : NOT_FOUND
}

/** Without a token, the caller must at least be a program on this machine, and not a page in its browser. */
function refusalOf({ headers }: IncomingMessage, tokenSha256: string | undefined): Reply | undefined {
  if (tokenSha256 === undefined) return isLocalProgram(headers) ? undefined : FORBIDDEN
  const token = tokenOf(headers)
  return token !== undefined && matchesSha256(token, tokenSha256) ? undefined : UNAUTHORIZED
}

/** A page of another site sends an Origin; after DNS rebinding, its name is in Host. */
function isLocalProgram({ host = '', origin }: IncomingMessage['headers']): boolean {
  return origin === undefined && isLocalHost(host)
}

function tokenOf({ authorization, 'x-auth-token': header }: IncomingMessage['headers']): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? (typeof header === 'string' ? header : undefined)
}

const NOT_FOUND: Reply = { status: 404, body: { error: 'no such session' } }
const FORBIDDEN: Reply = {
  status: 403,
  body: { error: 'only for programs on this machine: configure admin.token_sha256' },
}
const UNAUTHORIZED: Reply = {
  status: 401,
  body: { error: 'send the token of admin.token_sha256 as Authorization: Bearer or X-Auth-Token' },
  headers: { 'WWW-Authenticate': 'Bearer realm="oriel-proxy"' },
}
const notAllowed = (allow: string): Reply => ({
  status: 405,
  body: { error: 'method not allowed' },
  headers: { Allow: allow },
})

function send({ method }: IncomingMessage, response: ServerResponse, { status, body, headers }: Reply): void {
  const text = body === undefined ? '' : JSON.stringify(body)
  const content = body && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }
  response.writeHead(status, {
    ...content,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  })
  response.end(method === 'HEAD' ? undefined : text)
}
