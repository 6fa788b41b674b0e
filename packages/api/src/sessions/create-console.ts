/** POST /oriel/v1/servers/{server_id}/consoles. */
import { type ConsoleRole, consoleTypes, type ExtensionResponse } from '@oriel/contract'
import type { Identity } from '../auth/authenticator.ts'
import { openWithOptions } from '../consoles/open-with-options.ts'
import { HttpFault } from '../http/faults.ts'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { enforce } from '../policy/enforce.ts'
import { INVITE_RULE } from '../policy/rules.ts'
import { auditTo } from './audit.ts'
import type { SessionDeps } from './deps.ts'

/** Creates a console with options. Its token is stored so that versions without these options do not admit it. */
export function createConsole(deps: SessionDeps): ExtensionOperations['createConsole'] {
  return async function createConsole(call): Promise<ExtensionResponse<'createConsole'>> {
    const { type, role = 'control', label = null, single_use = false, ttl_seconds, may_invite } = call.body
    const options = { role, label, singleUse: single_use, invitationId: null }
    if (may_invite) requireInviting(deps, role, call.identity)
    const inviting = may_invite === undefined ? {} : { mayInvite: may_invite }
    const wanted = {
      serverId: call.params.server_id!,
      type,
      options: { ...options, ...inviting },
      ttlSeconds: ttl_seconds,
    }
    const { server, ttlSeconds, url, expiresAt } = await openWithOptions(deps, wanted, call)
    auditTo(call.log).created({ server, type, ...options, ttlSeconds }, call.identity.userId)
    const { protocol } = consoleTypes[type]
    return {
      console: { protocol, type, role, label, single_use, url, expires_at: new Date(expiresAt).toISOString() },
    }
  }
}

/** @throws HttpFault 400 for a watcher. @throws Forbidden */
function requireInviting({ config }: SessionDeps, role: ConsoleRole, identity: Identity): void {
  if (role !== 'control') throw new HttpFault(400, 'A console with the role watch cannot invite: omit may_invite.')
  enforce(config.policy, INVITE_RULE, identity)
}
