/** The authenticator `static`: tokens whose digests the configuration lists. */
import { matchesSha256 } from '@oriel/runtime'
import { type Authenticator, type Identity, Unauthenticated } from './authenticator.ts'
import type { StaticAuthConfig } from './config.ts'

/** The URI in a 401 if neither the configuration nor the caller has one. */
const NOWHERE = 'http://localhost'

/**
 * Creates the authenticator. It compares SHA-256 digests, since the configuration does not contain the tokens. A 401 has the
 * challenge of Keystone's middleware, the only one that Nova's clients know, with `config.www_authenticate_uri` or else
 * `publicUrl`.
 */
export function createStaticAuthenticator(config: StaticAuthConfig, publicUrl = NOWHERE): Authenticator {
  const known = config.tokens.map((entry) => ({ sha256: entry.sha256, identity: identityOf(entry) }))
  const identify = (token: string, what: string) => {
    // Compares all digests, each in constant time, so that the time does not reveal a token's position.
    const found = known.filter(({ sha256 }) => matchesSha256(token, sha256))
    if (!found[0]) throw new Unauthenticated(`${what} is not known`)
    return found[0].identity
  }
  return {
    wwwAuthenticate: `Keystone uri="${config.www_authenticate_uri ?? publicUrl}"`,
    async authenticate({ token, serviceToken }) {
      if (!token) throw new Unauthenticated('No token')
      if (serviceToken !== undefined) identify(serviceToken, 'the service token')
      return identify(token, 'the token')
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

function identityOf(entry: StaticAuthConfig['tokens'][number]): Identity {
  const identity = { userId: entry.user_id, roles: entry.roles }
  return entry.project_id === undefined ? identity : { ...identity, projectId: entry.project_id }
}
