/** Cross-origin calls, for the configured origins alone. For all others nothing is said, and browsers refuse. */
import { LEGACY_HEADER, STANDARD_HEADER } from '@oriel/contract'
import { cors as honoCors } from 'hono/cors'
import type { ApiMiddleware } from './context.ts'

const MAX_AGE_SECONDS = 600

/** Answers preflights and marks answers for `origins`; with none it does nothing. */
export function cors(origins: readonly string[]): ApiMiddleware {
  const allowed = new Set(origins)
  const answer = honoCors({
    origin: [...origins],
    allowMethods: ['GET', 'POST', 'DELETE'],
    allowHeaders: ['Content-Type', 'X-Auth-Token', 'X-Service-Token', STANDARD_HEADER, LEGACY_HEADER],
    exposeHeaders: [STANDARD_HEADER, LEGACY_HEADER, 'X-OpenStack-Request-ID', 'X-Compute-Request-ID', 'Retry-After'],
    maxAge: MAX_AGE_SECONDS,
  })
  return async function cors(c, next) {
    const origin = c.req.header('Origin')
    if (origin === undefined || !allowed.has(origin)) return next()
    return answer(c, next)
  }
}
