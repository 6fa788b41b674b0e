/** Authenticates requests by their token headers. */
import { type AuthenticationRequest, type Authenticator, Unauthenticated } from '../auth/authenticator.ts'
import type { ApiMetrics, AuthenticationResult } from '../metrics.ts'
import type { ApiContext, ApiMiddleware } from './context.ts'

/** Authenticates the caller and puts the identity into the context. Ignores headers that claim a user or roles. */
export function authenticate(authenticator: Authenticator, metrics: Pick<ApiMetrics, 'authentication'>): ApiMiddleware {
  return async function authenticate(c, next) {
    try {
      c.set('identity', await authenticator.authenticate(credentials(c)))
    } catch (error) {
      metrics.authentication(resultOf(error, c.req.raw.signal))
      throw error
    }
    metrics.authentication('ok')
    await next()
  }
}

function resultOf(error: unknown, client: AbortSignal): AuthenticationResult {
  if (client.aborted) return 'left'
  return error instanceof Unauthenticated ? 'refused' : 'unavailable'
}

function credentials(c: ApiContext): AuthenticationRequest {
  const token = c.req.header('X-Auth-Token') ?? c.req.header('X-Storage-Token')
  const serviceToken = c.req.header('X-Service-Token')
  return {
    ...(token !== undefined && { token }),
    ...(serviceToken !== undefined && { serviceToken }),
    headers: c.req.raw.headers,
    signal: c.req.raw.signal,
  }
}
