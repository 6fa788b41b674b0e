/** Decides which links a ticket admits, from the link and the ticket's state. Has no side effects. */
import { channelTypes } from '../wire/protocol.ts'

/** What the proxy does with a link. */
export type Verdict =
  /** Begins a session, in place of one that this ticket has open. */
  | 'open'
  /** The main channel to the target of a migration that is under way. */
  | 'migrate'
  /** A further channel of the open session. */
  | 'join'
  /** Answers "permission denied", whatever the reason. */
  | 'refuse'

export interface TicketState {
  /** Within its first-use window, in use, or within its grace time. */
  readonly mayOpen: boolean
  readonly session?:
    | {
        /** The id from MAIN_INIT; `undefined` before that message. */
        readonly connectionId: number | undefined
        /** Whether the machine's UUID was verified, or need not be. */
        readonly identified: boolean
        /** Whether a migration has a target that may be connected to. */
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
