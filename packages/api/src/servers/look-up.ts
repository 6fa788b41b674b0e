/** Looks up a server for a caller. */
import type { Identity } from '../auth/authenticator.ts'
import { HttpFault } from '../http/faults.ts'
import { sees } from '../policy/enforce.ts'
import type { Server } from '../sources/server.ts'
import type { Source } from '../sources/source.ts'
import { withinDeadline } from '../sources/within-deadline.ts'

export const instanceNotFound = (id: string) => new HttpFault(404, `Instance ${id} could not be found.`)

/**
 * Returns the server with exactly this id, if the caller may see it.
 * @throws HttpFault 404, the same for servers of other projects as for servers that do not exist
 */
export async function lookUp(source: Source, identity: Identity, id: string, signal: AbortSignal): Promise<Server> {
  const server = await withinDeadline(signal, source.find(id, { signal }))
  if (!server || server.vmState === 'deleted' || !sees(identity, server.projectId)) throw instanceNotFound(id)
  return server
}
