/** Routes for operators and tools: liveness, readiness and the OpenAPI documents. */
import { extensionOpenapi, isMicroversion, LATEST, openapi } from '@oriel/contract'
import { type Health, type Logger, type Readiness, readiness } from '@oriel/runtime'
import type { Hono } from 'hono'
import type { ApiEnv } from './context.ts'
import { notFound } from './faults.ts'

export interface ProbeOptions {
  /** Parts without which the API cannot work. */
  readonly checks: readonly Health[]
  /** Checks the sources of servers. The API serves those that respond. */
  readonly sources: () => Promise<Readiness>
  /** Whether the program is about to stop. */
  readonly draining: () => boolean
  readonly log: Logger
}

/**
 * `/healthz` responds while the process runs. `/readyz` responds 503 while the API cannot work or is about to stop. If only
 * some sources respond, the API is ready but degraded: every replica has the same sources, so another would be no better.
 */
export function mountProbes(app: Hono<ApiEnv>, { checks, sources, draining, log }: ProbeOptions): void {
  const ready = readiness(checks, { log })
  app.get('/healthz', (c) => c.json({ status: 'ok' }))
  app.get('/readyz', async (c) => {
    if (draining()) return c.json({ status: 'draining' }, 503)
    const [state, parts] = await Promise.all([ready(), sources()])
    const status = state.ready ? (parts.ready ? 'ok' : 'degraded') : 'failing'
    return c.json({ status, checks: state.checks, sources: parts.checks }, state.ready ? 200 : 503)
  })
}

/** The name of the document of Oriel's extension. */
const EXTENSION_DOCUMENT = 'oriel-v1'

/** `/openapi/{microversion}.json`, `latest` included, and `/openapi/oriel-v1.json`. */
export function mountOpenApi(app: Hono<ApiEnv>): void {
  const documents = new Map<string, string>()
  app.get('/openapi/:file', (c) => {
    const asked = /^(.+)\.json$/.exec(c.req.param('file'))?.[1]
    const version = asked === 'latest' ? LATEST : asked
    const document = version && (documents.get(version) ?? documentOf(version))
    if (!document) throw notFound()
    documents.set(version, document)
    return c.body(document, 200, { 'Content-Type': 'application/json' })
  })
}

function documentOf(version: string): string | undefined {
  if (version === EXTENSION_DOCUMENT) return JSON.stringify(extensionOpenapi())
  return isMicroversion(version) ? JSON.stringify(openapi(version)) : undefined
}
