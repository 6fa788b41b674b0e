/** A caller in the same process, beside whoever the configured authenticator knows. */
import type { Secret } from '@oriel/runtime'
import type { Authenticator, Identity } from './authenticator.ts'

/** Knows `token`, made for this process alone, as a service; everybody else is the business of `authenticator`. */
export function withInternalCaller(authenticator: Authenticator, token: Secret): Authenticator {
  return {
    wwwAuthenticate: authenticator.wwwAuthenticate,
    ...(authenticator.unauthenticated && { unauthenticated: true }),
    authenticate: async (request) =>
      request.token !== undefined && token.equals(request.token) ? internal : authenticator.authenticate(request),
    ...(authenticator.check && { check: (signal) => authenticator.check!(signal) }),
    [Symbol.asyncDispose]: () => authenticator[Symbol.asyncDispose](),
  }
}

const internal: Identity = { userId: 'oriel-proxy', projectId: 'oriel', roles: ['service'] }
