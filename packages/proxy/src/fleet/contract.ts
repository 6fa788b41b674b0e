/** The calls between the primary and its workers. */

import {
  type CloseReasonName,
  consoleRoles,
  type PresenceConsoleRequest,
  type RefusalName,
  refusals,
} from '@oriel/contract'
import * as Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Protection } from '../admin/protection.ts'
import type { SessionItem } from '../admin/sessions.ts'
import type { Entrant } from '../admit/limits.ts'
import { servedConsoleTypes } from '../consoles/kinds.ts'
import type { ConsoleElsewhere, ControlStep } from '../presence/elsewhere.ts'
import type { ConsoleAddress, Participant, PresenceView, SharedConsoleName } from '../presence/shared-consoles.ts'
import type { PageSession } from '../session/page-sessions.ts'
import type { LaterSession } from '../session/sessions.ts'

/** The metrics of one process, as prom-client returns them. */
export type Figures = readonly { readonly name: string; readonly type: unknown }[]

/** The calls that a worker answers. */
export type WorkerAnswers = {
  readonly sessions: () => Promise<readonly SessionItem[]>
  readonly end: (id: string) => Promise<boolean>
  readonly figures: () => Promise<Figures>
  /** Returns the reason why the worker is not ready, or `null`. */
  readonly health: () => Promise<string | null>
  /** The protection in force for each console type. */
  readonly protection: () => Promise<Protection>
  /** Ends the session in a slot, because another viewer took its console over. `by`: the label of that viewer. */
  readonly takenOver: (slot: number, by: string | null) => void
  /** Ends the earlier sessions of a page that has come back. */
  readonly endEarlier: (later: LaterSession) => void
  /** Closes the worker's sessions and exits. */
  readonly stop: () => void
  readonly reload: () => void
  /** Switches the input of a session on or off. */
  readonly setInput: (sessionId: string, mayInput: boolean) => void
  /** Ends a session at the request of its page. */
  readonly leaveSession: (sessionId: string) => void
  readonly showPresence: (page: number, view: PresenceView) => void
  /** Asks the authority for a step on behalf of a session. Returns the console afterwards, or `null`. */
  readonly askForControl: (sessionId: string, step: ControlStep) => Promise<ConsoleElsewhere | null>
  readonly endPage: (page: number, reason: CloseReasonName) => void
}

/** The number of the slot that was taken, or the refusal. */
export type SlotReply = { readonly slot: number } | { readonly refusal: RefusalName; readonly detail: string }

const slotReply = Compile(
  Type.Union([
    Type.Object({ slot: Type.Integer() }),
    Type.Object({ refusal: Type.Enum(Object.keys(refusals) as RefusalName[]), detail: Type.String() }),
  ]),
)

/** Whether the other process returned a valid {@link SlotReply}. */
export const isSlotReply = (value: unknown): value is SlotReply => slotReply.Check(value)

const pageSession = Type.Object({
  id: Type.String(),
  facts: Type.Object({
    tokenDigest: Type.String(),
    instance: Type.String(),
    client: Type.String(),
    type: Type.Enum(servedConsoleTypes),
    role: Type.Enum([...consoleRoles]),
    label: Type.Optional(Type.String()),
    listener: Type.String(),
  }),
  grant: Type.Optional(Type.String()),
  inviter: Type.Optional(Type.String()),
})
const pageSessionCheck = Compile(pageSession)

/** Whether the other process sent a valid {@link PageSession}. */
export const isPageSession = (value: unknown): value is PageSession => pageSessionCheck.Check(value)

/** Where a worker serves its serial ports to the others: a path and the key to it. */
export interface PortAddress {
  readonly path: string
  readonly key: string
}

/** The calls that the primary answers. */
export type PrimaryAnswers = {
  /** Reports that the worker accepts connections. */
  readonly ready: () => void
  /** Returns the key of resume tickets for all workers, if the configuration has none. */
  readonly resumeKey: () => string
  readonly enter: (entrant: Entrant) => SlotReply
  /** Ends, in all workers, the earlier sessions of a page that has come back. */
  readonly endEarlier: (later: LaterSession) => void
  readonly opened: (slot: number) => void
  readonly leave: (slot: number) => void
  readonly forbidResume: (slot: number) => void
  /** Adds a page's session. Returns its number. */
  readonly addPage: (keyDigest: string, session: PageSession) => number
  readonly removePage: (page: number) => void
  readonly findPage: (keyDigest: string) => PageSession | null
  /** Returns a folder for sockets between workers, which only this user can enter. */
  readonly portFolder: () => Promise<string>
  /** Holds a serial port, unless another worker does: then returns where that worker serves it. */
  readonly holdPort: (portId: string, address: PortAddress) => PortAddress | null
  readonly releasePort: (portId: string) => void
  readonly joinConsole: (console: SharedConsoleName, participant: Participant) => void
  /** Gives a shared console another address, because its machine has moved. */
  readonly moveConsole: (from: SharedConsoleName, to: ConsoleAddress) => void
  /** Reports a console from an admission that other proxies have open too. */
  readonly learnElsewhere: (console: ConsoleElsewhere) => Promise<void>
  /** Reports all consoles that other proxies have open too. `null`: the authority does not answer the worker. */
  readonly showElsewhere: (consoles: readonly ConsoleElsewhere[] | null) => Promise<void>
  readonly leaveConsole: (sessionId: string, reason: CloseReasonName) => void
  /** Attaches a page, which the worker numbered, to a session. Returns whether the session is open. */
  readonly attachPage: (page: number, sessionId: string) => boolean
  readonly detachPage: (page: number) => void
  /** Returns the objection to a page's request, or `null`. */
  readonly requestOfPage: (page: number, request: PresenceConsoleRequest) => Promise<string | null>
}
