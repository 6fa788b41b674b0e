/** Counts and times every request by the template of its route. */
import { matchedRoutes } from 'hono/route'
import { type ApiMetrics, OTHER } from '../metrics.ts'
import type { ApiContext, ApiMiddleware } from './context.ts'

/** Records each request when its response is ready. */
export function requestMetrics(metrics: ApiMetrics): ApiMiddleware {
  return async function requestMetrics(c, next) {
    const startedAt = performance.now()
    await next()
    const seconds = (performance.now() - startedAt) / 1000
    metrics.request({ method: methodOf(c), route: routeOf(c) }, c.res.status, seconds)
  }
}

/** Clients choose the method, so the label has a fixed set of values. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const methodOf = ({ req: { method } }: ApiContext) => (METHODS.has(method) ? method : OTHER)

/** Hono's templates with an asterisk are those of middleware. */
function routeOf(c: ApiContext): string {
  const template = matchedRoutes(c).find(({ path }) => !path.endsWith('*'))?.path
  return template === undefined ? OTHER : spelt(template)
}

/** Spells a template as the contract does. The project's id in front of a path makes no other route. */
const spelt = (template: string) =>
  template.replace(/\/:project_id\{[^}]*\}(?=\/.)/, '').replaceAll(/:(\w+)(\{[^}]*\})?/g, '{$1}')
