/** Adds a session to the console that it shares with others. */

import { consoleTypes } from '@oriel/contract'
import type { Admission } from '../authority/authority.ts'
import type { Console } from '../consoles/console.ts'
import type { InputSwitch, Participant, Seat } from '../presence/shared-consoles.ts'
import type { SessionFacts, SessionRecord } from '../session/open-session.ts'
import type { ConnectContext } from './context.ts'

/**
 * Whether the sessions of a console share its control. Not if the proxy cannot withhold their input, or if the session is one
 * of several channels.
 */
export const sharesControl = ({ limitInput }: Console, type: SessionFacts['type']): boolean =>
  limitInput !== undefined && !consoleTypes[type].channelsShareToken

export interface Joining {
  readonly id: string
  readonly facts: SessionFacts
  /** The admission by which the console was dialled. */
  readonly admission: Admission
  readonly input: InputSwitch
  /** How long the session may last, in milliseconds. 0: without limit. */
  readonly maxMs: number
  readonly hasPage: boolean
}

/** Gives a session its place at its console. `undefined`: it shares no control, and has no page. */
export async function takeSeat(context: ConnectContext, console: Console, joining: Joining): Promise<Seat | undefined> {
  if (sharesControl(console, joining.facts.type)) return joinConsole(context, joining)
  return joining.hasPage ? joinAlone(context, joining) : undefined
}

async function joinConsole(context: ConnectContext, joining: Joining): Promise<Seat> {
  const { facts, admission, input } = joining
  const { instance, type } = facts
  const { host, port } = admission
  const recorded = admission.record && new RecordedInput(input, admission.record)
  const participant = participantOf(context, joining)
  const seat = await context.sharedConsoles.join({ instance, type, host, port }, participant, recorded ?? input)
  recorded?.joined()
  return seat
}

/**
 * Gives a session that shares no control a console of its own. Its page has a presence WebSocket there, by which it notices that
 * its link is lost.
 */
async function joinAlone(context: ConnectContext, joining: Joining): Promise<Seat> {
  const { id, facts, admission } = joining
  const { instance, type, role } = facts
  const { host, port } = admission
  const own = { instance, type: `${type} of ${id}`, host, port }
  return context.sharedConsoles.join(own, participantOf(context, joining), { mayInput: role === 'control' })
}

function participantOf(context: ConnectContext, joining: Joining): Participant {
  const { id, facts, admission } = joining
  const { role, label } = facts
  const endsAtMs = endOf(context, joining)
  return {
    ...{ id, role, sinceMs: Date.now() },
    ...(label === undefined ? {} : { label }),
    ...(admission.invited ? { invited: true } : {}),
    ...(endsAtMs === undefined ? {} : { endsAtMs }),
  }
}

/** Reports to the authority when the session gets or loses control. */
class RecordedInput implements InputSwitch {
  readonly #input: InputSwitch
  readonly #record: SessionRecord
  #isJoined = false

  constructor(input: InputSwitch, record: SessionRecord) {
    this.#input = input
    this.#record = record
  }

  get mayInput(): boolean {
    return this.#input.mayInput
  }

  set mayInput(mayInput: boolean) {
    this.#input.mayInput = mayInput
    if (this.#isJoined) this.#record.control(mayInput)
  }

  /** Before the session has joined its console, its role alone says whether it may send input. */
  joined(): void {
    this.#isJoined = true
    this.#record.control(this.mayInput)
  }
}

/** When the session ends at the latest, in milliseconds since 1970. */
function endOf({ enforceTokenExpiry }: ConnectContext, { admission, maxMs }: Joining): number | undefined {
  const { expiresAt } = admission
  const ends = [
    ...(maxMs > 0 ? [Date.now() + maxMs] : []),
    ...(enforceTokenExpiry && expiresAt ? [expiresAt.getTime()] : []),
  ]
  return ends.length === 0 ? undefined : Math.min(...ends)
}
