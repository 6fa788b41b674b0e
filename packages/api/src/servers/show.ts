/** GET /servers/{server_id}. */
import type { NewestResponse } from '@oriel/contract'
import type { Identity } from '../auth/authenticator.ts'
import type { Call, Operation } from '../http/mount.ts'
import { allows, enforce, requireProject } from '../policy/enforce.ts'
import { ADMIN_ROLE } from '../policy/rules.ts'
import type { ServerDeps } from './list.ts'
import { lookUp } from './look-up.ts'
import { documentOf } from './view.ts'

const RULE = 'os_compute_api:servers:show'

/** Shows one server in full. */
export function showServer(deps: ServerDeps): Operation<unknown, NewestResponse<'showServer'>> {
  return {
    async handle(call: Call) {
      requireProject(RULE, call.identity)
      const server = await lookUp(deps.source, asSeen(deps, call.identity), call.params.server_id!, call.signal)
      enforce(deps.config.policy, RULE, call.identity)
      return { server: documentOf(server, call.base) }
    },
  }
}

/**
 * Whoever may ask where any token leads sees any server: a proxy does, to check the name of the guest that it reached.
 * Nova's own answer to a service is 404, so there a proxy that checks names needs the role admin.
 */
function asSeen({ config }: ServerDeps, identity: Identity): Identity {
  const everywhere = allows(config.policy, 'os_compute_api:os-console-auth-tokens', identity)
  return everywhere ? { ...identity, roles: [...identity.roles, ADMIN_ROLE] } : identity
}
