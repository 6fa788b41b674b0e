/** Logs one line for every request, when its response is ready. */
import { type Logger, maskTokens } from '@oriel/runtime'
import type { ApiMiddleware } from './context.ts'

/** Probes and heartbeats, which come every few seconds: only failures are worth a line at level info. */
const QUIET = /^\/(healthz|readyz|oriel\/v1\/proxies\/[^/]+)$/
const GLOBAL_REQUEST_ID = /^req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Logs method, path without credentials, status, microversion, caller and duration. */
export function requestLog(log: Logger): ApiMiddleware {
  return async function requestLog(c, next) {
    const startedAt = performance.now()
    await next()
    const { method, path } = c.req
    const identity = c.get('identity')
    const fields = {
      requestId: c.get('requestId'),
      globalRequestId: globalRequestId(c.req.header('X-OpenStack-Request-ID')),
      method,
      path: maskTokens(path),
      status: c.res.status,
      microversion: c.get('microversion'),
      userId: identity?.userId,
      projectId: identity?.projectId,
      durationMs: Math.round((performance.now() - startedAt) * 1000) / 1000,
    }
    if (QUIET.test(path) && c.res.status < 400) log.debug(fields, 'request')
    else log.info(fields, 'request')
  }
}

// The id of another service for the same operation, if well-formed, so that logs can be correlated.
const globalRequestId = (header: string | undefined) =>
  header !== undefined && GLOBAL_REQUEST_ID.test(header) ? header : undefined
