/** The admin listener: health, readiness, metrics, and the routes that the program adds. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import * as prom from 'prom-client'
import { parseListen } from './config/schemas.ts'
import { listenOn } from './listen-on.ts'
import type { Logger } from './log.ts'
import { withProcessMetrics } from './metrics.ts'
import { type Health, readiness } from './readiness.ts'

/** Handles requests for paths other than the listener's own. Returns false to get a 404. */
export type AdminRoutes = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>

export interface AdminOptions {
  /** `host:port`; port 0 picks a free one. */
  readonly listen: string
  /** Run by `/readyz`, each within `checkDeadlineMs`. */
  readonly checks: readonly Health[]
  /** Served by `/metrics`, with metrics of the process added. Default: a new registry. */
  readonly registry?: prom.Registry | undefined
  /** Returns the text of `/metrics` in place of `registry`'s, for a program that collects it from several processes. */
  readonly metrics?: (() => Promise<string>) | undefined
  /** Fields that `/readyz` shows beside the checks, ready or not. They must not name a host, path or user. */
  readonly notes?: (() => Readonly<Record<string, unknown>> | Promise<Readonly<Record<string, unknown>>>) | undefined
  readonly log: Logger
  /** Further routes, for all methods. They must authenticate their callers themselves. */
  readonly routes?: AdminRoutes | undefined
  /** How long one readiness check may take. Default: 2000. */
  readonly checkDeadlineMs?: number
}

export interface AdminListener extends AsyncDisposable {
  /** The bound `host:port`. */
  readonly address: string
  /** Makes `/readyz` respond 503 from now on, so that load balancers send no new work. */
  setDraining(): void
  /**
   * Stops listening at once, so that the program's successor can bind the address while this one still drains. Finishes
   * requests in progress and closes idle connections.
   */
  release(): void
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: Record<string, string>
}

const LIMITS = { headersTimeout: 5_000, requestTimeout: 10_000, keepAliveTimeout: 5_000, maxHeaderSize: 16_384 }
const MAX_CONNECTIONS = 256
/** How long pending responses may take once the listener closes. */
const CLOSE_GRACE_MS = 1_000

/**
 * Starts the listener: `/healthz` (the process runs), `/readyz` (it can serve; a 503 only names the failing checks),
 * `/metrics` (Prometheus text).
 * @throws ListenError when the address cannot be bound.
 */
export async function createAdminListener(options: AdminOptions): Promise<AdminListener> {
  const { log, routes, notes = () => ({}) } = options
  let draining = false
  let released: Promise<void> | undefined
  const ready = readiness(options.checks, { log, deadlineMs: options.checkDeadlineMs ?? 2_000 })
  const registry = options.registry ?? new prom.Registry()
  if (!options.metrics) withProcessMetrics(registry)
  const metrics = options.metrics ?? (() => registry.metrics())
  const own: Readonly<Record<string, () => Promise<Answer> | Answer>> = {
    '/healthz': () => json(200, { status: 'ok' }),
    '/readyz': async () => (draining ? json(503, { status: 'draining' }) : readyAnswer(await ready(), await notes())),
    '/metrics': async () => ({ status: 200, type: registry.contentType, body: await metrics() }),
  }
  const server = createServer(LIMITS, (request, response) => {
    answer(own, routes, request, response).catch((error: unknown) => fail(log, request, response, error))
  })
  server.maxConnections = MAX_CONNECTIONS
  const address = await listenOn(server, parseListen(options.listen))
  log.info({ address, listener: 'admin' }, 'admin listening')
  return {
    address,
    setDraining: () => {
      draining = true
    },
    release: () => {
      released ??= stopListening(server)
    },
    [Symbol.asyncDispose]: () => {
      released ??= stopListening(server)
      return close(server, released)
    },
  }
}

async function answer(
  own: Readonly<Record<string, () => Promise<Answer> | Answer>>,
  routes: AdminRoutes | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '').split('?')[0]!
  const handler = Object.hasOwn(own, path) ? own[path] : undefined
  if (handler) return send(request, response, isRead(request) ? await handler() : NOT_ALLOWED)
  if (routes && (await routes(request, response))) return
  send(request, response, isRead(request) || routes ? NOT_FOUND : NOT_ALLOWED)
}

function isRead({ method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD'
}

function readyAnswer({ ready, checks }: { ready: boolean; checks: object }, notes: object): Answer {
  return json(ready ? 200 : 503, { ...notes, status: ready ? 'ok' : 'unready', checks })
}

function json(status: number, value: object, headers: Record<string, string> = {}): Answer {
  return { status, type: 'application/json', body: JSON.stringify(value), headers }
}

const NOT_FOUND = json(404, { error: 'not found' })
const NOT_ALLOWED = json(405, { error: 'method not allowed' }, { allow: 'GET, HEAD' })
const INTERNAL = json(500, { error: 'internal error' })

function send(request: IncomingMessage, response: ServerResponse, { status, type, body, headers }: Answer): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

function fail(log: Logger, request: IncomingMessage, response: ServerResponse, error: unknown): void {
  log.error({ err: error, method: request.method }, 'admin request failed')
  if (response.headersSent) response.destroy()
  else send(request, response, INTERNAL)
}

/** Resolves when the last connection is closed. */
function stopListening(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  return closed
}

async function close(server: Server, closed: Promise<void>): Promise<void> {
  const grace = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS)
  await closed
  clearTimeout(grace)
}
