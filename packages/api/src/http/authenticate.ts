/** Authenticates requests by their token headers. */
import type { AuthenticationRequest, Authenticator } from '../auth/authenticator.ts'
import type { ApiContext, ApiMiddleware } from './context.ts'

/** Authenticates the caller and puts the identity into the context. Ignores headers that claim a user or roles. */
export function authenticate(authenticator: Authenticator): ApiMiddleware {
  return async function authenticate(c, next) {
    c.set('identity', await authenticator.authenticate(credentials(c)))
    await next()
  }
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
