/** The types that the entries of all console elements share. */
export type { PresenceInvitation, PresenceParticipant, PresenceState } from '@oriel/contract'
export type { ConsoleEventMap, ConsoleState, InviteOptions, StateChange } from './console-element.ts'
export type { ConsoleEnd, Disconnection } from './console-end.ts'
export type { MintConsole, NewConsole } from './new-console.ts'
export type { CreatedInvitation } from './presence/invitations.ts'
export type { TicketStore } from './resumption.ts'
