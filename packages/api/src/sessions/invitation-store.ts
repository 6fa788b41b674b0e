/** The port for records of invitations to open sessions. */
import type { ConsoleRole, ConsoleType } from '@oriel/contract'

/** An invitation. Times are milliseconds since the epoch. It has no credential: its token is stored by its id alone. */
export interface Invitation {
  readonly id: string
  /** The session to which a user invited. */
  readonly sessionId: string
  readonly serverId: string
  readonly type: ConsoleType
  readonly role: ConsoleRole
  /** A name for people. */
  readonly label: string | null
  /** The user who invited. */
  readonly createdBy: string
  readonly createdAt: number
  readonly expiresAt: number
  readonly tokenId: string
}

export interface CurrentInvitation extends Invitation {
  /** Whether its URL has opened a console, and opens none any more. */
  readonly isUsed: boolean
}

/** Every method throws `StoreUnavailable` while the database is unavailable. */
export interface InvitationStore {
  add(invitation: Omit<Invitation, 'createdAt'>): Promise<Invitation>
  /** Returns an invitation to this session, or to one that it resumes, even if it is revoked. */
  find(sessionId: string, id: string): Promise<Invitation | undefined>
  /** Returns the invitations to this session, and to those that it resumes, that are not revoked, newest first. */
  list(sessionId: string): Promise<readonly Invitation[]>
  /** Returns the invitations of `list` that are used or have not expired. */
  listCurrent(sessionId: string): Promise<readonly CurrentInvitation[]>
  /**
   * Whether a client may use the invitation: it is not revoked, and its session is open, or another one that resumes it. The
   * token's expiry is not checked.
   */
  isUsable(id: string): Promise<boolean>
  /** Revokes the invitation, though not its token, and returns whether it was not revoked before. */
  revoke(id: string): Promise<boolean>
}
