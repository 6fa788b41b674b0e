/** DELETE /oriel/v1/servers/{server_id}/console-auth-tokens. */
import type { CloseReasonName } from '@oriel/contract'
import type { ConsoleAuthTokenStore } from '../console-auth-tokens/store.ts'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { isAdmin } from '../policy/enforce.ts'
import { lookUp } from '../servers/look-up.ts'
import type { ServerChange, Source } from '../sources/source.ts'
import { auditTo } from './audit.ts'
import type { SessionDeps } from './deps.ts'
import type { SessionStore } from './store.ts'

/**
 * Revokes every token of a server and requests the end of its sessions: 202 while their proxies have still to close them. The
 * caller must own the server, but callers who see all may also name a removed server, since its tokens may still exist.
 */
export function revokeTokens(deps: SessionDeps): ExtensionOperations['revokeTokens'] {
  return async function revokeTokens({ params, identity, signal, log }) {
    const serverId = params.server_id!
    if (!isAdmin(identity)) await lookUp(deps.source, identity, serverId, signal)
    const counts = await revokeServer(deps, serverId)
    auditTo(log).revoked(serverId, identity.userId, counts)
    return { pending: counts.ending > 0 }
  }
}

/** Why the sessions of a server end. After `moved` and `switched_off` they may be resumed. */
type ServerEnd = Extract<CloseReasonName, 'revoked' | 'moved' | 'switched_off'>

/**
 * Returns why the sessions end after a change of the server. A server that is switched off may be the same user's when it is on
 * again: an admission decides that.
 */
export function endAfter({ kind, serverId }: ServerChange, source: Pick<Source, 'switchedOff'>): ServerEnd {
  if (kind === 'moved') return 'moved'
  const mayBeOff = kind === 'stopped' || kind === 'gone'
  return mayBeOff && source.switchedOff?.(serverId) ? 'switched_off' : 'revoked'
}

/**
 * Revokes the tokens of a server, and requests the end of its sessions. Tokens first: a session that is admitted between the
 * two steps is refused, because its token is gone.
 * @param reason default: `revoked`
 */
export async function revokeServer(
  { tokens, sessions }: { readonly tokens: ConsoleAuthTokenStore; readonly sessions: SessionStore },
  serverId: string,
  reason: ServerEnd = 'revoked',
): Promise<{ readonly revoked: number; readonly ending: number }> {
  const revoked = await tokens.revokeServer(serverId)
  return { revoked, ending: await sessions.wantServerEnd(serverId, reason) }
}
