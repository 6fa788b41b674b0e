/** The authenticator `none`: every caller is an administrator. For loopback only. */
import type { Authenticator, Identity } from './authenticator.ts'

const EVERYBODY: Identity = {
  userId: 'anonymous',
  projectId: 'local',
  everyProject: true,
  roles: ['admin', 'member', 'reader'],
}

/** Creates the authenticator. It ignores tokens. */
export function createNoAuthenticator(): Authenticator {
  return {
    wwwAuthenticate: 'None',
    unauthenticated: true,
    authenticate: async () => EVERYBODY,
    [Symbol.asyncDispose]: async () => {},
  }
}
