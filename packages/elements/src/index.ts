/** Custom elements for the consoles of machines. Importing this defines them; it needs a browser. */
export type { PresenceInvitation, PresenceParticipant, PresenceState } from '@oriel/contract'
export type { ConsoleState, InviteOptions } from './console-element.ts'
export type { ConsoleEnd } from './console-end.ts'
export { OrielSerial, type OrielSerialEventMap, type SerialState } from './oriel-serial.ts'
export { OrielVnc, type OrielVncEventMap, type Scale, type VncState } from './oriel-vnc.ts'
export { plainLine } from './plain-line.ts'
export type { CreatedInvitation } from './presence/invitations.ts'
export type { Typed, TypeOptions } from './vnc/typist.ts'
