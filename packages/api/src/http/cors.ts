/** Cross-origin calls, allowed for the configured origins. Browsers block all others without giving the page a reason. */
import { EXPIRES_HEADER, LEGACY_HEADER, STANDARD_HEADER } from '@oriel/contract'
import { type Logger, RefusedOrigins } from '@oriel/runtime'
import { cors as honoCors } from 'hono/cors'
import type { ApiMiddleware } from './context.ts'

const MAX_AGE_SECONDS = 600
const REQUEST_IDS = ['X-OpenStack-Request-ID', 'X-Compute-Request-ID']

const MESSAGE =
  'a page may not call the API: cors.allowed_origins does not list its origin; if the page is yours, add this line'

/** Responds to preflights and adds CORS headers for `origins`. Logs other origins, each once an hour. */
export function cors(origins: readonly string[], log: Logger): ApiMiddleware {
  const refused = new RefusedOrigins({ log, key: 'cors.allowed_origins', allowed: origins })
  const allowed = new Set(origins)
  const respond = honoCors({
    origin: [...origins],
    allowMethods: ['GET', 'POST', 'DELETE'],
    allowHeaders: ['Content-Type', 'X-Auth-Token', 'X-Service-Token', STANDARD_HEADER, LEGACY_HEADER],
    exposeHeaders: [STANDARD_HEADER, LEGACY_HEADER, EXPIRES_HEADER, ...REQUEST_IDS, 'Retry-After'],
    maxAge: MAX_AGE_SECONDS,
  })
  return async function cors(c, next) {
    const origin = c.req.header('Origin')
    if (origin !== undefined && allowed.has(origin)) return respond(c, next)
    if (origin !== undefined && isForeignPage(origin, c.req.header('Host'))) refused.report(origin, MESSAGE)
    return next()
  }
}

/** Whether `origin` is that of a page on another host or port. Browsers also send Origin with a same-origin POST. */
function isForeignPage(origin: string, host: string | undefined): boolean {
  const page = URL.parse(origin)
  return page !== null && /^https?:$/.test(page.protocol) && page.origin === origin && page.host !== host
}
