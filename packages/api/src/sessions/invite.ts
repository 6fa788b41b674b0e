/** The routes below /oriel/v1/sessions/{session_id}/invitations: a user invites somebody to an open session, and revokes it. */
import { randomUUID } from 'node:crypto'
import { type ExtensionResponse, isOpenable, type Invitation as Shown } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import type { Identity } from '../auth/authenticator.ts'
import type { TokenOptions } from '../console-auth-tokens/store.ts'
import { unavailable } from '../consoles/drivers.ts'
import type { Opener } from '../consoles/open.ts'
import { openWithOptions, type WantedOptions } from '../consoles/open-with-options.ts'
import { HttpFault } from '../http/faults.ts'
import type { Done, ExtensionOperations } from '../http/mount-extension.ts'
import { isAdmin, sees } from '../policy/enforce.ts'
import { auditTo } from './audit.ts'
import type { SessionDeps } from './deps.ts'
import { sessionNotFound } from './end.ts'
import type { Invitation } from './invitation-store.ts'
import type { SessionRecord } from './store.ts'

/**
 * Creates an invitation. A client may use its URL once, while the session is open: a colleague who comes late finds no console
 * at which the inviting user no longer is.
 */
export function createInvitation(deps: SessionDeps): ExtensionOperations['createInvitation'] {
  return async function createInvitation(call): Promise<ExtensionResponse<'createInvitation'>> {
    const { role, label = null, ttl_seconds: ttlSeconds } = call.body
    const session = await findOwn(deps, call.params.session_id!, call.identity)
    requireInviting(session, call.identity)
    const { invitation, url } = await issue(deps, { session, role, label, ttlSeconds, open: openWithOptions }, call)
    auditTo(call.log).invited(session, invitation, { by: call.identity.userId, fromPage: false })
    return { invitation: { ...documentOf(invitation), url } }
  }
}

export interface Issuing extends Pick<WantedOptions, 'ttlSeconds'>, Pick<TokenOptions, 'role' | 'label'> {
  readonly session: SessionRecord
  readonly open: typeof openWithOptions
}

export interface Issued {
  readonly invitation: Invitation
  readonly url: string
}

/** Creates an invitation in the name of the caller. @throws Forbidden. @throws HttpFault 400, 404, 409 or 501 */
export async function issue(deps: SessionDeps, issuing: Issuing, call: Opener): Promise<Issued> {
  const { session, role, label, ttlSeconds, open } = issuing
  const { serverId, type } = session
  if (!isOpenable(type)) throw unavailable(type)
  const id = randomUUID()
  const options = { role, label, singleUse: true, invitationId: id }
  const { url, tokenId, expiresAt } = await open(deps, { serverId, type, options, ttlSeconds }, call)
  const createdBy = call.identity.userId
  const invitation = await deps.invitations.add({
    ...{ id, sessionId: session.id, serverId, type, role, label, createdBy, expiresAt, tokenId },
  })
  return { invitation, url }
}

export function listInvitations(deps: SessionDeps): ExtensionOperations['listInvitations'] {
  return async function listInvitations({ params, identity }) {
    const session = await findOwn(deps, params.session_id!, identity)
    return { invitations: (await deps.invitations.list(session.id)).map(documentOf) }
  }
}

/** Answers 202 while proxies have still to close sessions that came with the invitation. */
export function revokeInvitation(deps: SessionDeps): ExtensionOperations['revokeInvitation'] {
  return async function revokeInvitation({ params, identity, log }) {
    const session = await findOwn(deps, params.session_id!, identity)
    return revoke(deps, { session, id: params.invitation_id!, by: identity.userId, fromPage: false, log })
  }
}

interface Revoking {
  readonly session: SessionRecord
  readonly id: string
  /** The user who revokes. */
  readonly by: string
  readonly fromPage: boolean
  readonly log: Logger
}

/**
 * Revokes an invitation, and then requests the end of the sessions that came with it. The token is deleted before: a session
 * that is admitted meanwhile is refused, because its token is gone.
 * @throws HttpFault 404
 */
export async function revoke(deps: SessionDeps, { session, id, by, fromPage, log }: Revoking): Promise<Done> {
  const invitation = await deps.invitations.find(session.id, id)
  if (!invitation) throw new HttpFault(404, `Invitation ${id} could not be found.`)
  const isNew = await withdraw(deps, invitation)
  const ending = await deps.sessions.wantInvitedEnd(id, 'revoked')
  if (isNew) auditTo(log).invitationRevoked(session, invitation, { by, fromPage, ending })
  return { pending: ending > 0 }
}

/** Makes the URL of an invitation useless. Returns whether it was not revoked before. */
export async function withdraw({ invitations, tokens }: SessionDeps, { id, tokenId }: Invitation): Promise<boolean> {
  const isNew = await invitations.revoke(id)
  await tokens.revoke(tokenId)
  return isNew
}

/** @throws HttpFault 404 for other projects' sessions, 403 for those of other users of the project */
async function findOwn({ sessions }: SessionDeps, id: string, identity: Identity): Promise<SessionRecord> {
  const session = await sessions.find(id)
  if (!session || !sees(identity, session.projectId)) throw sessionNotFound(id)
  if (isAdmin(identity) || session.userId === identity.userId) return session
  throw new HttpFault(403, 'Only the user of a session may invite to it.')
}

/** @throws HttpFault 409 or 403 */
function requireInviting({ id, role, endedAt, endWanted }: SessionRecord, identity: Identity): void {
  if (endedAt !== null || endWanted !== null) throw new HttpFault(409, `Session ${id} has ended.`)
  if (role === 'control' || isAdmin(identity)) return
  throw new HttpFault(403, 'A session with the role watch cannot invite.')
}

/** An invitation as the API returns it. */
export const documentOf = (invitation: Invitation): Shown => ({
  id: invitation.id,
  session_id: invitation.sessionId,
  server_id: invitation.serverId,
  type: invitation.type,
  role: invitation.role,
  label: invitation.label,
  created_by: invitation.createdBy,
  created_at: new Date(invitation.createdAt).toISOString(),
  expires_at: new Date(invitation.expiresAt).toISOString(),
})
