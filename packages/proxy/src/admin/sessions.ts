/**
 * `/sessions` of the admin listener: lists open sessions and ends them. Its callers see instances and addresses of clients,
 * never a credential (CVE-2025-54289); only DELETE changes something.
 */
import type { ConsoleRole } from '@oriel/contract'
import { type AdminApp, isLocalHost, matchesSha256 } from '@oriel/runtime'
import type { Context } from 'hono'
import type { OpenSession } from '../session/open-session.ts'

/** One open session in a response. */
export interface SessionItem {
  readonly id: string
  readonly instance: string
  readonly type: string
  readonly role: ConsoleRole
  /** A name for people; `null` if the console has none. */
  readonly label: string | null
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

/** Returns a function that adds the routes to an admin listener. */
export function sessionRoutes({ sessions, tokenSha256 }: SessionRoutesOptions): (app: AdminApp) => void {
  return (app) => {
    app.use('/sessions/:id?', async (c, next) => refusalOf(c, tokenSha256) ?? (await next()))
    app.get('/sessions', async (c) => c.json({ sessions: await sessions.list() }))
    app.all('/sessions', (c) => notAllowed(c, 'GET, HEAD'))
    app.get('/sessions/:id', async (c) => {
      const session = (await sessions.list()).find(({ id }) => id === c.req.param('id'))
      return session ? c.json({ session }) : c.json(NOT_FOUND, 404)
    })
    app.delete('/sessions/:id', async (c) =>
      (await sessions.end(c.req.param('id'))) ? c.body(null, 204) : c.json(NOT_FOUND, 404),
    )
    app.all('/sessions/:id', (c) => notAllowed(c, 'GET, HEAD, DELETE'))
  }
}

/** Describes an open session to callers. */
export function sessionItem({ view, lastInputMs }: OpenSession): SessionItem {
  return {
    id: view.id,
    instance: view.instance,
    type: view.type,
    role: view.role,
    label: view.label ?? null,
    client: view.client,
    listener: view.listener,
    started: view.startedAt.toISOString(),
    bytes_to_client: view.bytesToClient,
    bytes_to_console: view.bytesToConsole,
    idle_seconds: Math.floor((performance.now() - lastInputMs) / 1000),
  }
}

/** Without a token, the caller must at least be a program on this machine, and not a page in its browser. */
function refusalOf(c: Context, tokenSha256: string | undefined): Response | undefined {
  if (tokenSha256 === undefined) return isLocalProgram(c) ? undefined : c.json(FORBIDDEN, 403)
  const token = tokenOf(c)
  if (token !== undefined && matchesSha256(token, tokenSha256)) return undefined
  return c.json(UNAUTHORIZED, 401, { 'WWW-Authenticate': 'Bearer realm="oriel-proxy"' })
}

/** A page of another site sends an Origin; after DNS rebinding, its name is in Host. */
const isLocalProgram = ({ req }: Context) => req.header('origin') === undefined && isLocalHost(req.header('host') ?? '')

const tokenOf = ({ req }: Context) =>
  /^Bearer +(\S+)$/i.exec(req.header('authorization') ?? '')?.[1] ?? req.header('x-auth-token')

const NOT_FOUND = { error: 'no such session' }
const FORBIDDEN = { error: 'only for programs on this machine: configure admin.token_sha256' }
const UNAUTHORIZED = { error: 'send the token of admin.token_sha256 as Authorization: Bearer or X-Auth-Token' }

const notAllowed = (c: Context, allow: string) => c.json({ error: 'method not allowed' }, 405, { Allow: allow })
