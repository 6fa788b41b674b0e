/** Authenticates the proxy in the same process, besides the callers that the configured authenticator knows. */
import type { Secret } from '@oriel/runtime'
import type { Authenticator, Identity } from './authenticator.ts'

/** Accepts `token`, which was created for this process, as a service; passes all other requests to `authenticator`. */
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
