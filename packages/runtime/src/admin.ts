/** The admin listener: health, readiness, metrics, and the routes that the program adds. */
import { createServer, type Server } from 'node:http'
import { getRequestListener, type HttpBindings } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import * as prom from 'prom-client'
import { parseListen } from './config/schemas.ts'
import { listenOn } from './listen-on.ts'
import type { Logger } from './log.ts'
import { withProcessMetrics } from './metrics.ts'
import { type Health, readiness } from './readiness.ts'

/** The app of an admin listener. It matches paths as they were sent: neither decoded nor normalised. */
export type AdminApp = Hono<{ Bindings: HttpBindings }>

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
  /** Adds further routes. They must authenticate their callers themselves. */
  readonly routes?: ((app: AdminApp) => void) | undefined
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
  let draining = false
  let released: Promise<void> | undefined
  const app = adminApp(options, () => draining)
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false })
  const server = createServer(LIMITS, (request, response) => {
    // The adapter would refuse HTTP/1.0 without a Host, and unusual spellings of one. `c.req.header('host')` has it as sent.
    request.headers.host = 'admin'
    void listener(request, response)
  })
  server.maxConnections = MAX_CONNECTIONS
  const address = await listenOn(server, parseListen(options.listen))
  options.log.info({ address, listener: 'admin' }, 'admin listening')
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

function adminApp(options: AdminOptions, isDraining: () => boolean): AdminApp {
  const { log, routes, notes = () => ({}), registry = new prom.Registry() } = options
  const ready = readiness(options.checks, { log, deadlineMs: options.checkDeadlineMs ?? 2_000 })
  if (!options.metrics) withProcessMetrics(registry)
  const metrics = options.metrics ?? (() => registry.metrics())
  const app: AdminApp = new Hono({ getPath: (_, options) => options!.env!.incoming.url!.split('?')[0]! })
  app.use(async (c, next) => {
    c.header('Cache-Control', 'no-store')
    c.header('X-Content-Type-Options', 'nosniff')
    await next()
    // Hono drops the body of a HEAD, and its length with it.
    if (c.req.method === 'HEAD') c.header('Content-Length', String((await c.res.clone().arrayBuffer()).byteLength))
  })
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.get('/readyz', async (c) => {
    if (isDraining()) return c.json({ status: 'draining' }, 503)
    const state = await ready()
    const status = state.ready ? 'ok' : 'unready'
    return c.json({ ...(await notes()), status, checks: state.checks }, state.ready ? 200 : 503)
  })
  app.get('/metrics', async (c) => c.body(await metrics(), 200, { 'Content-Type': registry.contentType }))
  for (const path of ['/healthz', '/readyz', '/metrics']) app.all(path, notAllowed)
  routes?.(app)
  app.notFound((c) => (routes || isRead(c.req.method) ? c.json({ error: 'not found' }, 404) : notAllowed(c)))
  app.onError((err, c) => {
    log.error({ err, method: c.req.method }, 'admin request failed')
    return c.json({ error: 'internal error' }, 500)
  })
  return app
}

const notAllowed = (c: Context) => c.json({ error: 'method not allowed' }, 405, { Allow: 'GET, HEAD' })
const isRead = (method: string) => method === 'GET' || method === 'HEAD'

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
