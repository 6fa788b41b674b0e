/** GET /oriel/v1/sessions. */
import type { Session } from '@oriel/contract'
import type { Identity } from '../auth/authenticator.ts'
import { HttpFault } from '../http/faults.ts'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { isAdmin, sees } from '../policy/enforce.ts'
import type { SessionDeps } from './deps.ts'
import type { SessionFilter, SessionRecord, SessionStore } from './store.ts'

type Query = ReadonlyMap<string, string>

const MAX_LIMIT = 1000

/** Lists the sessions of the caller's project, or of every project for callers who see all. */
export function listSessions({ sessions }: SessionDeps): ExtensionOperations['listSessions'] {
  return async function listSessions({ query, identity }) {
    const filter = await filterOf(sessions, query, identity)
    const found = filter ? await sessions.list(filter) : []
    return { sessions: found.map(documentOf) }
  }
}

/** Returns `undefined` if the caller asks for a project that it may not see: the list is then empty. */
async function filterOf(sessions: SessionStore, query: Query, identity: Identity): Promise<SessionFilter | undefined> {
  const asked = query.get('project_id')
  if (asked !== undefined && !sees(identity, asked)) return undefined
  return {
    projectId: isAdmin(identity) ? asked : identity.projectId,
    serverId: query.get('server_id'),
    userId: query.get('user_id'),
    state: query.get('state') as SessionFilter['state'],
    after: await markedBy(sessions, query.get('marker'), identity),
    limit: Math.min(Number(query.get('limit') ?? MAX_LIMIT), MAX_LIMIT),
  }
}

async function markedBy(sessions: SessionStore, id: string | undefined, identity: Identity) {
  if (id === undefined) return undefined
  const marked = await sessions.find(id)
  if (!marked || !sees(identity, marked.projectId)) throw new HttpFault(400, `marker [${id}] not found`)
  return marked
}

const documentOf = (session: SessionRecord): Session => ({
  id: session.id,
  server_id: session.serverId,
  server_name: session.serverName,
  project_id: session.projectId,
  user_id: session.userId,
  protocol: session.protocol,
  type: session.type,
  client_address: session.clientAddress,
  proxy_id: session.proxyId,
  started_at: new Date(session.startedAt).toISOString(),
  ended_at: session.endedAt === null ? null : new Date(session.endedAt).toISOString(),
  end_reason: session.endReason,
  bytes_to_client: session.bytesToClient,
  bytes_to_console: session.bytesToConsole,
  role: session.role,
  label: session.label,
  invitation_id: session.invitationId,
})
