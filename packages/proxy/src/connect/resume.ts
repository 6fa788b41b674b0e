/** Resumes an earlier session with a ticket, and prepares the tickets of a session. */

import type { OpenableConsoleType } from '@oriel/contract'
import type { Secret } from '@oriel/runtime'
import type { Credential } from '../admit/credential.ts'
import { requireSameType } from '../admit/token.ts'
import type { Admission, Authority } from '../authority/authority.ts'
import { Refused } from '../refused.ts'
import type { ResumeGrant, ResumeTicket } from '../resume/grant.ts'
import type { Tickets } from '../resume/tickets.ts'
import type { ConnectContext } from './context.ts'

/**
 * Returns the grant of a ticket for a console of this type. A ticket that is malformed, foreign or expired is refused like an
 * unknown token, and so counts towards the same limit.
 * @throws Refused `unknown_token`, `wrong_console_type`
 */
export function openTicket(tickets: Tickets, ticket: Secret, type: OpenableConsoleType): ResumeTicket {
  const grant = tickets.open(ticket)
  if (!grant) throw new Refused('unknown_token', 'the ticket is malformed, expired, or sealed with another key')
  requireSameType(grant.type, type)
  return grant
}

/**
 * Asks the authority for the console of a ticket. The session keeps the role and label of the earlier one, and does not use a
 * single-use token again.
 * @throws Refused; the signal's reason once it aborts
 */
export async function resumeAt(
  authority: Authority,
  grant: ResumeTicket,
  client: { readonly address: string },
  signal: AbortSignal,
): Promise<Admission> {
  if (!authority.resume) throw new Refused('unknown_token', 'the authority resumes no sessions')
  const { expiresAt: _, ...admission } = await authority.resume(grant, client, signal)
  if (admission.instance !== grant.instance) {
    admission.record?.ended('unknown_token')
    throw new Refused('unknown_token', 'the ticket is for another instance')
  }
  const { type, role, label, expiresAt } = grant
  return {
    ...admission,
    ...{ type, role, singleUse: false },
    ...(label === undefined ? {} : { label }),
    ...(expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) }),
  }
}

/** An open session, with what admitted it. */
interface Opening
  extends Pick<ResumeGrant, 'sessionId' | 'instance' | 'type' | 'role' | 'label' | 'tokenDigest' | 'handle'> {
  readonly claimed: Admission
  readonly credential: Credential
  /** The grant by which the session resumes another. */
  readonly grant: ResumeTicket | undefined
}

/** Seals the grant from which the page of a session gets its tickets, if the session can be resumed. */
export function sealedGrant(
  { authority, tickets, enforceTokenExpiry }: Pick<ConnectContext, 'authority' | 'tickets' | 'enforceTokenExpiry'>,
  { sessionId, instance, type, role, label, tokenDigest, handle, claimed, credential, grant }: Opening,
): { readonly grant?: string } {
  if (!tickets.enabled || !authority.resume) return {}
  const token = 'token' in credential ? credential.token : grant?.token
  return {
    grant: tickets.sealGrant({
      ...{ sessionId, instance, type, role, tokenDigest },
      ...(label === undefined ? {} : { label }),
      ...(authority.resumesByToken && token ? { token } : {}),
      handle,
      openedAt: grant?.openedAt ?? Date.now(),
      ...(enforceTokenExpiry && claimed.expiresAt ? { expiresAt: claimed.expiresAt.getTime() } : {}),
    }),
  }
}
