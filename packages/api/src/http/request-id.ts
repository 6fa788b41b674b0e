/** Request ids: one for every request, told to the caller under two names. */
import { randomUUID } from 'node:crypto'
import type { ApiContext, ApiMiddleware } from './context.ts'

export const newRequestId = () => `req-${randomUUID()}`

/** The headers that tell a request id. */
export const requestIdFields = (id: string) => ({ 'X-Compute-Request-ID': id, 'X-OpenStack-Request-ID': id })

/** Gives the request an id, for the log. */
export function requestId(): ApiMiddleware {
  return async function requestId(c, next) {
    c.set('requestId', newRequestId())
    await next()
  }
}

/** Names the request id in the answer's headers, whatever the answer is. */
export function requestIdHeaders(): ApiMiddleware {
  return async function requestIdHeaders(c, next) {
    tellRequestId(c)
    await next()
  }
}

/** Sets the headers on the answer to come. */
export function tellRequestId(c: ApiContext): void {
  for (const [name, value] of Object.entries(requestIdFields(c.get('requestId')))) c.header(name, value)
}
