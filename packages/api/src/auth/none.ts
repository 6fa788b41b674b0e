/** The authenticator `none`: everybody is an administrator. For loopback only. */
import type { Authenticator, Identity } from './authenticator.ts'

const EVERYBODY: Identity = {
  userId: 'anonymous',
  projectId: 'local',
  everyProject: true,
  roles: ['admin', 'member', 'reader'],
}

/** Takes every caller for the same administrator of every project, whatever token it sends. */
export function createNoAuthenticator(): Authenticator {
  return {
    wwwAuthenticate: 'None',
    unauthenticated: true,
    authenticate: async () => EVERYBODY,
    [Symbol.asyncDispose]: async () => {},
  }
}
