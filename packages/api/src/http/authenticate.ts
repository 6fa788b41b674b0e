/** Authentication: from the token headers to an identity. */
import type { AuthenticationRequest, Authenticator } from '../auth/authenticator.ts'
import type { ApiContext, ApiMiddleware } from './context.ts'

/** Asks who the caller is; the identity is in the context afterwards. Headers that claim roles or users count for nothing. */
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
