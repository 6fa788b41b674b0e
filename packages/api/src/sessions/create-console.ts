/** POST /oriel/v1/servers/{server_id}/consoles. */
import { consoleTypes, type ExtensionResponse } from '@oriel/contract'
import { openWithOptions } from '../consoles/open-with-options.ts'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { auditTo } from './audit.ts'
import type { SessionDeps } from './deps.ts'

/** Creates a console with options. Its token is stored so that versions without these options do not admit it. */
export function createConsole(deps: SessionDeps): ExtensionOperations['createConsole'] {
  return async function createConsole(call): Promise<ExtensionResponse<'createConsole'>> {
    const { type, role = 'control', label = null, single_use = false, ttl_seconds } = call.body
    const options = { role, label, singleUse: single_use, invitationId: null }
    const wanted = { serverId: call.params.server_id!, type, options, ttlSeconds: ttl_seconds }
    const { server, ttlSeconds, url, expiresAt } = await openWithOptions(deps, wanted, call)
    auditTo(call.log).created({ server, type, ...options, ttlSeconds }, call.identity.userId)
    const { protocol } = consoleTypes[type]
    return {
      console: { protocol, type, role, label, single_use, url, expires_at: new Date(expiresAt).toISOString() },
    }
  }
}
