/**
 * `/sessions` of the admin listener: lists open sessions and ends them. Its callers see instances and addresses of clients,
 * never a credential (CVE-2025-54289); only DELETE changes something.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AdminRoutes, isLocalHost, matchesSha256 } from '@oriel/runtime'
import type { OpenSession } from '../session/open-session.ts'

/** One open session, as it is shown. */
export interface SessionRecord {
  readonly id: string
  readonly instance: string
  readonly type: string
  /** The client's address, behind trusted proxies. */
  readonly client: string
  /** The `host:port` of the listener through which it came. */
  readonly listener: string
  /** ISO 8601, UTC. */
  readonly started: string
  readonly bytes_to_client: number
  readonly bytes_to_console: number
  /** Since the client last sent something. */
  readonly idle_seconds: number
}

/** The sessions of a proxy, whether they are in this process or in others. */
export interface SessionControl {
  list(): Promise<readonly SessionRecord[]>
  /** Ends one as `ended`. False: there is no such session. */
  end(id: string): Promise<boolean>
}

export interface SessionRoutesOptions {
  readonly sessions: SessionControl
  /** SHA-256 of the token that callers must show. Absent: none, which is for a listener on loopback alone. */
  readonly tokenSha256?: string | undefined
}

/** The routes, for `createAdminListener`. */
export function sessionRoutes({ sessions, tokenSha256 }: SessionRoutesOptions): AdminRoutes {
  return async (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0]!
    const route = /^\/sessions(?:\/([^/]+))?$/.exec(path)
    if (!route) return false
    send(request, response, refusalOf(request, tokenSha256) ?? (await answer(sessions, request.method ?? '', route[1])))
    return true
  }
}

/** What is shown of an open session. */
export function sessionRecord({ view, lastInputMs }: OpenSession): SessionRecord {
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

interface Answer {
  readonly status: number
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
}

async function answer(sessions: SessionControl, method: string, id: string | undefined): Promise<Answer> {
  const read = method === 'GET' || method === 'HEAD'
  if (id === undefined)
    return read ? { status: 200, body: { sessions: await sessions.list() } } : notAllowed('GET, HEAD')
  if (method === 'DELETE') return (await sessions.end(id)) ? { status: 204 } : NOT_FOUND
  if (!read) return notAllowed('GET, HEAD, DELETE')
  const session = (await sessions.list()).find((record) => record.id === id)
  return session ? { status: 200, body: { session } } : NOT_FOUND
}

/** Without a token the caller must at least be a program of this machine, and no page that a browser shows. */
function refusalOf({ headers }: IncomingMessage, tokenSha256: string | undefined): Answer | undefined {
  if (tokenSha256 === undefined) return isLocalProgram(headers) ? undefined : FORBIDDEN
  const token = tokenOf(headers)
  return token !== undefined && matchesSha256(token, tokenSha256) ? undefined : UNAUTHORIZED
}

/** A page of another site has an Origin, and one whose name was pointed at this machine has that name in Host. */
function isLocalProgram({ host = '', origin }: IncomingMessage['headers']): boolean {
  return origin === undefined && isLocalHost(host)
}

function tokenOf({ authorization, 'x-auth-token': header }: IncomingMessage['headers']): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? (typeof header === 'string' ? header : undefined)
}

const NOT_FOUND: Answer = { status: 404, body: { error: 'no such session' } }
const FORBIDDEN: Answer = {
  status: 403,
  body: { error: 'only for programs on this machine: configure admin.token_sha256' },
}
const UNAUTHORIZED: Answer = {
  status: 401,
  body: { error: 'a token is needed' },
  headers: { 'WWW-Authenticate': 'Bearer realm="oriel-proxy"' },
}
const notAllowed = (allow: string): Answer => ({
  status: 405,
  body: { error: 'method not allowed' },
  headers: { Allow: allow },
})

function send({ method }: IncomingMessage, response: ServerResponse, { status, body, headers }: Answer): void {
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
