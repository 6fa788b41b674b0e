/** The types that the entries of all console elements share. */
export type { PresenceInvitation, PresenceParticipant, PresenceState } from '@oriel/contract'
export type { ConsoleEnd, Disconnection } from './console-end.ts'
export type { ConsoleEventMap, ConsoleState, StateChange, Viewers } from './console-events.ts'
export type { MintConsole, NewConsole } from './new-console.ts'
export type { CreatedInvitation } from './presence/invitations.ts'
export type { TicketStore } from './resumption.ts'
export type { InviteOptions } from './shared-element.ts'
