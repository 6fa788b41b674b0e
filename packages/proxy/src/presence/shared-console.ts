/** One console that sessions share, of this proxy and of others: who is there, and who has control. */
import type { CloseReasonName } from '@oriel/contract'
import type { Arbiter, ConsoleElsewhere } from './elsewhere.ts'
import { type ControlChange, ControlGrant, type Member } from './grant.ts'
import type {
  InputSwitch,
  Participant,
  PresencePage,
  PresenceView,
  Seat,
  SharedConsoleName,
} from './shared-consoles.ts'

/** A session of this proxy, or of another one: that has no `console`. */
export interface Occupant extends Member {
  readonly participant: Participant
  readonly console?: SharedConsole
}

/** The place of a session of this proxy at a console, with its input and its page. */
export class TakenSeat implements Seat, Occupant {
  console: SharedConsole
  readonly participant: Participant
  readonly input: InputSwitch
  /** Absent: this proxy decides alone. */
  readonly arbiter: Arbiter | undefined
  page: PresencePage | undefined
  readonly #leave: (seat: TakenSeat, reason: CloseReasonName) => void

  constructor(
    console: SharedConsole,
    session: SeatedSession,
    leave: (seat: TakenSeat, reason: CloseReasonName) => void,
  ) {
    this.console = console
    this.participant = session.participant
    this.input = session.input
    this.arbiter = session.arbiter
    this.#leave = leave
  }

  get id(): string {
    return this.participant.id
  }

  get role() {
    return this.participant.role
  }

  get invited(): boolean {
    return this.participant.invited ?? false
  }

  leave(reason: CloseReasonName): void {
    this.#leave(this, reason)
  }

  [Symbol.dispose](): void {
    this.leave('client_closed')
  }
}

export interface SeatedSession {
  readonly participant: Participant
  readonly input: InputSwitch
  readonly arbiter: Arbiter | undefined
}

export class SharedConsole extends ControlGrant<Occupant> {
  name: SharedConsoleName
  /** Since when one session alone has had control, in milliseconds since 1970. */
  heldSinceMs = 0
  /** Whether control has moved here and the authority has not confirmed the report. */
  isUnreported = false

  constructor(name: SharedConsoleName) {
    super()
    this.name = name
  }

  /** The sessions of this proxy, the oldest first. */
  get seats(): readonly TakenSeat[] {
    return this.members.filter(isSeat)
  }

  /** Whether sessions at other proxies have the console open. */
  get isShared(): boolean {
    return this.members.some((member) => !isSeat(member))
  }

  /** The session that may tell the authority who has control here: a watcher that was given control may not take it itself. */
  get reporter(): TakenSeat | undefined {
    return this.seats.find(({ id, role }) => role === 'control' || id !== this.heldBy)
  }

  /** Moves the sessions of another console here. */
  takeIn(other: SharedConsole): void {
    other.replace(isElsewhere, [])
    for (const seat of other.seats) seat.console = this
    if (!this.holder) this.heldSinceMs = other.heldSinceMs
    this.merge(other)
  }

  /** Applies the state at the authority; `undefined`: the sessions here are alone. Returns the change, if control moved. */
  follow(state: ConsoleElsewhere | undefined): ControlChange | undefined {
    this.replace(isElsewhere, state?.participants.map(occupantOf) ?? [])
    // A move that this proxy could not report yet outweighs the authority's state, unless a session elsewhere got control meanwhile.
    const isOurs = state?.participants.every(({ id }) => id !== state.heldBy) ?? true
    if (state && !(this.isUnreported && isOurs && this.reporter)) this.isUnreported = false
    return this.decide(state && !this.isUnreported ? state : this.#ownDecision)
  }

  /** Whether to release control of a watcher here, because no session is left that could take it back. */
  releaseAbandoned(): boolean {
    return this.isAbandoned && this.seats.some(({ id }) => id === this.heldBy)
  }

  /** The decision of this proxy, restricted to the sessions that are left. */
  get #ownDecision() {
    return { heldBy: this.holder?.id ?? null, ready: true, requestedBy: this.requests.map(({ id }) => id) }
  }

  show(seat: TakenSeat): void {
    seat.page?.show(this.#viewOf(seat))
  }

  /** Switches the input of all before any page is shown the change. */
  changed(): void {
    const { seats } = this
    for (const seat of seats) setInput(seat.input, this.hasControl(seat))
    for (const seat of seats) this.show(seat)
  }

  #viewOf(seat: TakenSeat): PresenceView {
    return {
      type: 'state',
      you: seat.id,
      participants: this.#oldestFirst.map((member) => ({
        id: member.id,
        label: member.participant.label ?? null,
        role: member.role,
        since: new Date(member.participant.sinceMs).toISOString(),
        has_control: this.hasControl(member),
      })),
      control: {
        held_by: this.heldBy,
        may_take: this.mayTake(seat),
        requested_by: this.requests.map(({ id }) => id),
      },
      ends_at: isoTime(seat.participant.endsAtMs),
    }
  }

  /** Sessions here are in their order already. */
  get #oldestFirst(): readonly Occupant[] {
    if (!this.isShared) return this.members
    return this.members.toSorted((a, b) => a.participant.sinceMs - b.participant.sinceMs)
  }
}

const isSeat = (member: Occupant): member is TakenSeat => member instanceof TakenSeat
const isElsewhere = (member: Occupant) => !isSeat(member)

const occupantOf = (participant: Participant): Occupant => ({
  ...{ id: participant.id, role: participant.role, participant },
  ...(participant.invited && { invited: true }),
})

/** Writes only changes, since each may be a message to another process. */
function setInput(input: InputSwitch, mayInput: boolean): void {
  if (input.mayInput !== mayInput) input.mayInput = mayInput
}

export const isoTime = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString())
