/** Which links a ticket admits. A pure table: what a link asks for, and how the ticket stands. */
import { channelTypes } from '../wire/protocol.ts'

/** What is done with a link. */
export type Verdict =
  /** Begins a session, in place of one that this ticket has open. */
  | 'open'
  /** The main channel to the target of a migration that is under way. */
  | 'migrate'
  /** A further channel of the open session. */
  | 'join'
  /** The client hears "permission denied", whatever the reason was. */
  | 'refuse'

export interface TicketState {
  /** Within its first-use window, in use, or within its grace time. */
  readonly mayOpen: boolean
  readonly session?:
    | {
        /** As MAIN_INIT told it; `undefined` before. */
        readonly connectionId: number | undefined
        /** Whether the machine's UUID was found right, or does not matter. */
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
