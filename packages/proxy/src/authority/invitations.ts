/** Invitations to a session of this proxy, by oriel-api. */
import { type ExtensionResponse, isOpenable, type PageInvitation, type PresenceInvitation } from '@oriel/contract'
import { consolePage, FaultError, type OrielOperations } from '@oriel/sdk'
import {
  type InvitationList,
  InvitationObjection,
  type NewInvitation,
  type SessionInvitations,
  type WantedInvitation,
} from '../presence/invitations.ts'
import type { Refused } from '../refused.ts'
import type { InvitingSession } from './authority.ts'

export interface InvitationsOptions {
  readonly oriel: Pick<OrielOperations, 'createPageInvitation' | 'listPageInvitations' | 'revokePageInvitation'>
  /** Returns the refusal for a failed request. */
  readonly refusedBy: (cause: unknown) => Refused
  /** Aborts when the authority closes. */
  readonly closing: AbortSignal
}

/** Creates the adapter for one session. */
export function invitationsOf(options: InvitationsOptions, { id, inviter }: InvitingSession): SessionInvitations {
  const { oriel, closing } = options
  const at = { proxy_id: inviter, session_id: id }
  const callOptions = { signal: closing }
  const asking = async <T>(call: Promise<T>, notFound = 'The session has ended.'): Promise<T> => {
    try {
      return await call
    } catch (cause) {
      throw objectionIn(cause, notFound) ?? options.refusedBy(cause)
    }
  }
  return {
    list: async () => toList(await asking(oriel.listPageInvitations(at, callOptions))),
    invite: async (wanted) =>
      toNew(await asking(oriel.createPageInvitation({ ...at, body: bodyOf(wanted) }, callOptions))),
    revoke: async (invitation_id) => {
      const revoking = oriel.revokePageInvitation({ ...at, invitation_id }, callOptions)
      await asking(revoking, 'This invitation does not exist any more.')
    },
  }
}

const bodyOf = ({ role, ttlSeconds, label }: WantedInvitation) => ({
  role,
  ...(ttlSeconds === undefined ? {} : { ttl_seconds: ttlSeconds }),
  ...(label === undefined ? {} : { label }),
})

/** The statuses whose messages are sentences about the request, such as that the session has too many invitations. */
const TELLING: ReadonlySet<number> = new Set([400, 409, 501])

/** Returns the objection in a fault of the API itself. A fault without a key came from something else. */
function objectionIn(cause: unknown, notFound: string): InvitationObjection | undefined {
  if (!(cause instanceof FaultError) || cause.key === undefined) return undefined
  if (TELLING.has(cause.status)) return new InvitationObjection(cause.message, { cause })
  if (cause.status === 404) return new InvitationObjection(notFound, { cause })
  return cause.status === 403 ? new InvitationObjection('You may not invite to this console.', { cause }) : undefined
}

const toList = (answer: ExtensionResponse<'listPageInvitations'>): InvitationList => ({
  list: answer.invitations.map(toShown),
  max_ttl_seconds: answer.max_ttl_seconds,
  max_invitations: answer.max_invitations,
})

/** A browser cannot open the WebSocket URL of a serial console: its page is in the same folder. */
function toNew({ invitation }: ExtensionResponse<'createPageInvitation'>): NewInvitation {
  const { url, type } = invitation
  const page = isOpenable(type) ? consolePage(url, type) : undefined
  return { invitation: toShown(invitation), url: page ?? url }
}

const toShown = ({ id, role, label, expires_at, is_used }: PageInvitation): PresenceInvitation => ({
  ...{ id, role, label, expires_at, is_used },
})
