/** POST /oriel/v1/sessions/{session_id}/console: a session goes on at the address to which its server has moved. */
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { auditTo } from './audit.ts'
import type { SessionDeps } from './deps.ts'
import { sessionNotFound } from './end.ts'
import { locate } from './locate.ts'
import { requireOwnProxy } from './proxy-owner.ts'

/**
 * Returns the present address of a session's console, at which its proxy may connect the session again, under the rules for a
 * session that is resumed: 404 once it was ended or revoked. Its proxy is no longer asked to close it because of the move.
 *
 * Withdraws that request before it asks the source, so that a further move in between is requested anew.
 */
export function followConsole(deps: SessionDeps): ExtensionOperations['followConsole'] {
  return async function followConsole({ params, identity, signal, log }) {
    const id = params.session_id!
    const session = await deps.sessions.findResumable(id)
    if (!session || session.endedAt !== null) throw sessionNotFound(id)
    await requireOwnProxy(deps, session.proxyId, identity)
    await deps.sessions.keepMoved(id)
    const console = await locate(deps, session, signal)
    if (console.address) auditTo(log).followed(session, console.address)
    return { console }
  }
}
