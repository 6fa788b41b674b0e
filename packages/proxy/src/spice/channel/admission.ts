/** Decides which links a ticket admits, from the link and the ticket's state. Has no side effects. */
import type { ConsoleRole } from '@oriel/contract'
import { channelTypes } from '../wire/protocol.ts'

/** The reaction to a link. */
export type Verdict =
  /** Opens a session, and ends an earlier one of the same ticket. */
  | 'open'
  /** Opens the second main channel, to the target of the running migration. */
  | 'migrate'
  /** Opens a further channel of the session. */
  | 'join'
  /** Answers "permission denied", whatever the reason. */
  | 'refuse'

export interface TicketState {
  /** Whether the ticket is within its first-use window, in use, or within its grace period. */
  readonly mayOpen: boolean
  readonly session?:
    | {
        /** The id from MAIN_INIT; `undefined` before that message. */
        readonly connectionId: number | undefined
        /** Whether the guest's UUID matches the instance, or need not be checked. */
        readonly identified: boolean
        /** Whether a migration has a target to which no second main channel has been opened yet. */
        readonly migrating: boolean
      }
    | undefined
}

export function judge(link: { channelType: number; connectionId: number }, ticket: TicketState | undefined): Verdict {
  if (!ticket) return 'refuse'
  const { session, mayOpen } = ticket
  const isMain = link.channelType === channelTypes.main
  if (isMain && link.connectionId === 0) return mayOpen ? 'open' : 'refuse'
  // A guessed id must not reach the hypervisor.
  if (session?.connectionId === undefined || session.connectionId !== link.connectionId) return 'refuse'
  if (isMain) return session.migrating ? 'migrate' : 'refuse'
  return session.identified ? 'join' : 'refuse'
}

/**
 * Whether a viewer may end the session of an earlier one (`spice.in_use`), because the hypervisor serves one. A watcher may
 * not, and a viewer who may control the console always ends the session of a watcher.
 */
export const mayTakeOver = (
  { inUse }: { readonly inUse: 'take_over' | 'refuse' },
  viewer: ConsoleRole,
  earlier: ConsoleRole,
): boolean => viewer === 'control' && (inUse === 'take_over' || earlier === 'watch')
