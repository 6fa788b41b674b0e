/** The port through which the page of a session invites to it. Its adapter is that of the authority. */
import type { ConsoleRole, PresenceInvitation, PresenceState } from '@oriel/contract'

/** An invitation that a page requests. */
export interface WantedInvitation {
  readonly role: ConsoleRole
  /** How long its link may be opened. Absent: the authority decides. */
  readonly ttlSeconds?: number | undefined
  readonly label?: string | undefined
}

export interface NewInvitation {
  readonly invitation: PresenceInvitation
  /** Opens the console once. A credential: only the page that requested it gets it. */
  readonly url: string
}

export type InvitationList = NonNullable<PresenceState['invitations']>

/**
 * The invitations to one session. The methods throw InvitationObjection if the authority refuses the request, and Refused if
 * it cannot be reached.
 */
export interface SessionInvitations {
  list(): Promise<InvitationList>
  invite(wanted: WantedInvitation): Promise<NewInvitation>
  /** Also ends the sessions that came with the invitation. */
  revoke(id: string): Promise<void>
}

/** Thrown when the authority refuses a request. The message is a sentence for the user. */
export class InvitationObjection extends Error {
  override readonly name = 'InvitationObjection'
}
