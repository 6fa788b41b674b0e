/**
 * The routes below /oriel/v1/proxies/{proxy_id}/sessions/{session_id}/invitations: a proxy invites, lists and revokes for the
 * page of one of its sessions. The page has no credential, so the creator of its console decides whether it may invite.
 */
import type { PageInvitation } from '@oriel/contract'
import type { Identity } from '../auth/authenticator.ts'
import { maxTtlSeconds } from '../console-auth-tokens/config.ts'
import { openPermitted } from '../consoles/open-with-options.ts'
import { HttpFault } from '../http/faults.ts'
import type { ExtensionCall, ExtensionOperations } from '../http/mount-extension.ts'
import { forbidden } from '../policy/forbidden.ts'
import { INVITE_RULE, rolesOf } from '../policy/rules.ts'
import { auditTo } from './audit.ts'
import type { SessionDeps } from './deps.ts'
import type { CurrentInvitation } from './invitation-store.ts'
import { documentOf, type Issued, issue, revoke, withdraw } from './invite.ts'
import { proxyIdOf, requireOwnProxy } from './proxy-owner.ts'
import type { SessionRecord } from './store.ts'

/** The number of unused and used invitations that a session may have. A page lists them all. */
export const MAX_INVITATIONS = 16

type Route = 'createPageInvitation' | 'listPageInvitations' | 'revokePageInvitation'
type Call = Pick<ExtensionCall<Route>, 'params' | 'identity'>

export function createPageInvitation(deps: SessionDeps): ExtensionOperations['createPageInvitation'] {
  return async function createPageInvitation(call) {
    const session = await findInviting(deps, call)
    requireOpen(session)
    await requireRoom(deps, session)
    const { role, label = null, ttl_seconds: ttlSeconds } = call.body
    const issuing = { session, role, label, ttlSeconds, open: openPermitted }
    const issued = await issue(deps, issuing, { ...call, identity: userOf(session) })
    await requireRoomFor(deps, session, issued)
    auditTo(call.log).invited(session, issued.invitation, { by: session.userId, fromPage: true })
    return { invitation: { ...pageDocumentOf({ ...issued.invitation, isUsed: false }), url: issued.url } }
  }
}

export function listPageInvitations(deps: SessionDeps): ExtensionOperations['listPageInvitations'] {
  return async function listPageInvitations(call) {
    const { id } = await findInviting(deps, call)
    return {
      invitations: (await deps.invitations.listCurrent(id)).map(pageDocumentOf),
      max_ttl_seconds: maxTtlSeconds(deps.config.tokens),
      max_invitations: MAX_INVITATIONS,
    }
  }
}

export function revokePageInvitation(deps: SessionDeps): ExtensionOperations['revokePageInvitation'] {
  return async function revokePageInvitation(call) {
    const session = await findInviting(deps, call)
    return revoke(deps, { session, id: call.params.invitation_id!, by: session.userId, fromPage: true, log: call.log })
  }
}

/**
 * Finds a session of the caller's proxy.
 * @throws HttpFault 403 for another user's proxy, 404 for a session of another proxy
 * @throws Forbidden if the session may not invite, or the policy has no role that may invite
 */
async function findInviting(deps: SessionDeps, { params, identity }: Call): Promise<SessionRecord> {
  const proxyId = proxyIdOf(params)
  await requireOwnProxy(deps, proxyId, identity)
  const session = await deps.sessions.find(params.session_id!)
  if (session?.proxyId !== proxyId) throw new HttpFault(404, 'The proxy has no such session.')
  if (!session.mayInvite || rolesOf(deps.config.policy, INVITE_RULE).length === 0) throw forbidden(INVITE_RULE)
  return session
}

function requireOpen({ endedAt, endWanted }: SessionRecord): void {
  if (endedAt !== null || endWanted !== null) throw new HttpFault(409, 'The session has ended.')
}

/** @throws HttpFault 409 */
async function requireRoom({ invitations }: SessionDeps, { id }: SessionRecord): Promise<void> {
  if ((await invitations.listCurrent(id)).length >= MAX_INVITATIONS) throw tooMany()
}

/** Checks again, because of concurrent calls: of those that exceed the limit together, all may be refused. */
async function requireRoomFor(deps: SessionDeps, { id }: SessionRecord, { invitation }: Issued): Promise<void> {
  if ((await deps.invitations.listCurrent(id)).length <= MAX_INVITATIONS) return
  await withdraw(deps, invitation)
  throw tooMany()
}

const tooMany = () =>
  new HttpFault(409, `A session has at most ${MAX_INVITATIONS} invitations. Revoke one that is no longer needed.`)

/** The user of the session, in whose name the proxy invites. Has no roles: the creation of the console has checked them. */
const userOf = ({ userId, projectId }: SessionRecord): Identity => ({ userId, projectId, roles: [] })

const pageDocumentOf = (invitation: CurrentInvitation): PageInvitation => ({
  ...documentOf(invitation),
  is_used: invitation.isUsed,
})
