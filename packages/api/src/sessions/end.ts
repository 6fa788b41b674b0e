/** DELETE /oriel/v1/sessions/{session_id}. */
import { HttpFault } from '../http/faults.ts'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { sees } from '../policy/enforce.ts'
import { auditTo } from './audit.ts'
import type { SessionDeps } from './deps.ts'

export const sessionNotFound = (id: string) => new HttpFault(404, `Session ${id} could not be found.`)

/**
 * Requests the end of a session: 202 if its proxy has still to close it, 204 if it was over. 404 for other projects'
 * sessions.
 */
export function endSession({ sessions }: SessionDeps): ExtensionOperations['endSession'] {
  return async function endSession({ params, identity, log }) {
    const id = params.session_id!
    const session = await sessions.find(id)
    if (!session || !sees(identity, session.projectId)) throw sessionNotFound(id)
    const pending = await sessions.wantEnd(id, 'ended')
    if (pending) auditTo(log).endWanted(session, identity.userId, 'ended')
    return { pending }
  }
}
