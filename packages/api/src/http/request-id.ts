/** Request ids, which the response has under two names. */
import { randomUUID } from 'node:crypto'
import type { ApiContext, ApiMiddleware } from './context.ts'

export const newRequestId = () => `req-${randomUUID()}`

/** The response headers with a request id. */
export const requestIdFields = (id: string) => ({ 'X-Compute-Request-ID': id, 'X-OpenStack-Request-ID': id })

/** Creates an id for the request. */
export function requestId(): ApiMiddleware {
  return async function requestId(c, next) {
    c.set('requestId', newRequestId())
    await next()
  }
}

/** Adds the request id to the headers of every response. */
export function requestIdHeaders(): ApiMiddleware {
  return async function requestIdHeaders(c, next) {
    setRequestIdHeaders(c)
    await next()
  }
}

/** Sets the headers for the response that follows. */
export function setRequestIdHeaders(c: ApiContext): void {
  for (const [name, value] of Object.entries(requestIdFields(c.get('requestId')))) c.header(name, value)
}
