/** GET /servers/{server_id}. */
import type { NewestResponse } from '@oriel/contract'
import type { Identity } from '../auth/authenticator.ts'
import type { Call, Operation } from '../http/mount.ts'
import { allows, enforce, requireProject } from '../policy/enforce.ts'
import { ADMIN_ROLE } from '../policy/rules.ts'
import type { Server } from '../sources/server.ts'
import type { ServerDeps } from './list.ts'
import { lookUp } from './look-up.ts'
import { documentOf } from './view.ts'

const RULE = 'os_compute_api:servers:show'

/** Shows one server in full. */
export function showServer(deps: ServerDeps): Operation<unknown, NewestResponse<'showServer'>> {
  return {
    async handle(call: Call) {
      requireProject(RULE, call.identity)
      const everywhere = allows(deps.config.policy, 'os_compute_api:os-console-auth-tokens', call.identity)
      const server = await lookUp(deps.source, asSeen(everywhere, call.identity), call.params.server_id!, call.signal)
      enforce(deps.config.policy, RULE, call.identity)
      return { server: { ...documentOf(server, call.base), ...(everywhere ? hypervisorNameOf(server) : {}) } }
    },
  }
}

/**
 * Lets a caller who may read console auth tokens see every server: a proxy checks the name of the guest that it reached.
 * Nova answers 404 to the role service, so there a proxy that checks names needs the role admin.
 */
function asSeen(everywhere: boolean, identity: Identity): Identity {
  return everywhere ? { ...identity, roles: [...identity.roles, ADMIN_ROLE] } : identity
}

/** A server's name comes from its hypervisor or from the operator's configuration, and its tenant cannot change it. */
const hypervisorNameOf = ({ name }: Server) => ({ 'OS-EXT-SRV-ATTR:instance_name': name })
