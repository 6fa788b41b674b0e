/** The consoles that the sessions of this process, or of all workers, share: who is there, and who has control. */
import type { CloseReasonName, PresenceConsoleRequest } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import { type ControlChange, ControlGrant, type ControlRequest } from './grant.ts'
import type {
  AttachedPage,
  ConsoleAddress,
  InputSwitch,
  Participant,
  PresencePage,
  PresenceView,
  Seat,
  SharedConsoleName,
  SharedConsoles,
} from './shared-consoles.ts'

export interface LocalConsolesOptions {
  readonly log: Logger
  /** Ends a session whose page requests that. */
  readonly endSession: (id: string) => void
}

/** Keeps little for each session: most consoles have one, and no page that asks. */
export class LocalConsoles implements SharedConsoles {
  readonly #options: LocalConsolesOptions
  /** The consoles by instance, which has a few at most. */
  readonly #consoles = new Map<string, readonly SharedConsole[]>()

  constructor(options: LocalConsolesOptions) {
    this.#options = options
  }

  join(name: SharedConsoleName, participant: Participant, input: InputSwitch): Seat {
    const ofInstance = this.#consoles.get(name.instance) ?? []
    const found = ofInstance.find((console) => isSame(console.name, name))
    const console = found ?? new SharedConsole(name)
    // A spread would reserve room for sixteen more.
    if (!found) this.#consoles.set(name.instance, ofInstance.concat([console]))
    const seat = new TakenSeat(this, console, participant, input)
    console.join(seat)
    console.changed()
    return seat
  }

  move(from: SharedConsoleName, to: ConsoleAddress): void {
    const name = { instance: from.instance, type: from.type, host: to.host, port: to.port }
    const ofInstance = this.#consoles.get(from.instance) ?? []
    const moved = ofInstance.find((console) => isSame(console.name, from))
    const there = ofInstance.find((console) => isSame(console.name, name))
    if (!moved || moved === there) return
    moved.name = name
    if (!there) return
    moved.takeIn(there)
    this.#forget(there)
    moved.changed()
  }

  attach(sessionId: string, page: PresencePage): AttachedPage | undefined {
    const seat = this.#seatOf(sessionId)
    if (!seat) return undefined
    seat.page?.end('taken_over')
    seat.page = page
    seat.console.show(seat)
    return {
      request: (request) => this.#request(seat, request),
      [Symbol.dispose]: () => {
        if (seat.page === page) seat.page = undefined
      },
    }
  }

  leave(seat: TakenSeat, reason: CloseReasonName): void {
    const { console, page, input } = seat
    if (!console.members.includes(seat)) return
    const change = console.leave(seat)
    input.mayInput = false
    seat.page = undefined
    if (change) this.#logChange(console, change)
    console.changed()
    if (console.members.length === 0) this.#forget(console)
    page?.end(reason)
  }

  #forget(console: SharedConsole): void {
    const { instance } = console.name
    const others = (this.#consoles.get(instance) ?? []).filter((other) => other !== console)
    if (others.length === 0) this.#consoles.delete(instance)
    else this.#consoles.set(instance, others)
  }

  /** Searches all sessions: a page attaches once in the life of a session, if it has one at all. */
  #seatOf(sessionId: string): TakenSeat | undefined {
    for (const ofInstance of this.#consoles.values()) {
      for (const { members } of ofInstance) {
        const seat = members.find(({ id }) => id === sessionId)
        if (seat) return seat
      }
    }
    return undefined
  }

  #request(seat: TakenSeat, request: PresenceConsoleRequest): string | undefined {
    if (!seat.console.members.includes(seat)) return 'The session has ended.'
    if (request.type === 'leave') this.#options.endSession(seat.id)
    else return this.#act(seat, request)
    return undefined
  }

  /** Returns the objection to a request. */
  #act(seat: TakenSeat, request: ControlRequest): string | undefined {
    const { console } = seat
    const outcome = console.act(seat, request)
    if ('objection' in outcome) return outcome.objection
    if (outcome.change) this.#logChange(console, outcome.change)
    console.changed()
    return undefined
  }

  #logChange(console: SharedConsole, { how, by, from, to }: ControlChange): void {
    const { instance, type } = console.name
    const nowMs = Date.now()
    const { heldSinceMs } = console
    const held = from === null ? {} : { heldFrom: isoTime(heldSinceMs), heldMs: nowMs - heldSinceMs }
    console.heldSinceMs = nowMs
    this.#options.log.info({ instance, type, how, by, from, to, ...held }, 'control of a console changed')
  }
}

const isSame = (a: SharedConsoleName, b: SharedConsoleName) =>
  a.type === b.type && a.host === b.host && a.port === b.port

class TakenSeat implements Seat {
  console: SharedConsole
  readonly participant: Participant
  readonly input: InputSwitch
  page: PresencePage | undefined
  readonly #consoles: LocalConsoles

  constructor(consoles: LocalConsoles, console: SharedConsole, participant: Participant, input: InputSwitch) {
    this.#consoles = consoles
    this.console = console
    this.participant = participant
    this.input = input
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
    this.#consoles.leave(this, reason)
  }

  [Symbol.dispose](): void {
    this.leave('client_closed')
  }
}

class SharedConsole extends ControlGrant<TakenSeat> {
  name: SharedConsoleName
  /** Since when one session alone has had control, in milliseconds since 1970. */
  heldSinceMs = 0

  constructor(name: SharedConsoleName) {
    super()
    this.name = name
  }

  /** Moves the sessions of another console here. */
  takeIn(other: SharedConsole): void {
    for (const seat of other.members) seat.console = this
    if (!this.holder) this.heldSinceMs = other.heldSinceMs
    this.merge(other)
  }

  show(seat: TakenSeat): void {
    seat.page?.show(this.#viewOf(seat))
  }

  /** Switches the input of all before any page is shown the change. */
  changed(): void {
    for (const seat of this.members) setInput(seat.input, this.hasControl(seat))
    for (const seat of this.members) this.show(seat)
  }

  #viewOf(seat: TakenSeat): PresenceView {
    return {
      type: 'state',
      you: seat.id,
      participants: this.members.map((member) => ({
        id: member.id,
        label: member.participant.label ?? null,
        role: member.role,
        since: new Date(member.participant.sinceMs).toISOString(),
        has_control: this.hasControl(member),
      })),
      control: {
        held_by: this.holder?.id ?? null,
        may_take: this.mayTake(seat),
        requested_by: this.requests.map(({ id }) => id),
      },
      ends_at: isoTime(seat.participant.endsAtMs),
    }
  }
}

/** Writes only changes, since each may be a message to another process. */
function setInput(input: InputSwitch, mayInput: boolean): void {
  if (input.mayInput !== mayInput) input.mayInput = mayInput
}

const isoTime = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString())
