/** The consoles that the sessions of this process, or of all workers, share: who is there, and who has control. */
import type { CloseReasonName, PresenceRequest } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import { type ControlChange, ControlGrant } from './grant.ts'
import type {
  AttachedPage,
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

export class LocalConsoles implements SharedConsoles {
  readonly #options: LocalConsolesOptions
  readonly #consoles = new Map<string, SharedConsole>()
  readonly #seats = new Map<string, TakenSeat>()

  constructor(options: LocalConsolesOptions) {
    this.#options = options
  }

  join(name: SharedConsoleName, participant: Participant, input: InputSwitch): Seat {
    const key = keyOf(name)
    const console = this.#consoles.get(key) ?? new SharedConsole(name, this.#options.log)
    this.#consoles.set(key, console)
    const seat = new TakenSeat(this, console, participant, input)
    this.#seats.set(participant.id, seat)
    console.join(seat)
    return seat
  }

  attach(sessionId: string, page: PresencePage): AttachedPage | undefined {
    const seat = this.#seats.get(sessionId)
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
    const { console, participant, page } = seat
    if (this.#seats.get(participant.id) !== seat) return
    this.#seats.delete(participant.id)
    seat.page = undefined
    console.leave(seat)
    if (console.isEmpty) this.#consoles.delete(keyOf(console.name))
    page?.end(reason)
  }

  #request(seat: TakenSeat, request: PresenceRequest): string | undefined {
    if (this.#seats.get(seat.participant.id) !== seat) return 'The session has ended.'
    if (request.type === 'leave') this.#options.endSession(seat.participant.id)
    else return seat.console.act(seat, request)
    return undefined
  }
}

const keyOf = ({ instance, type, host, port }: SharedConsoleName) => `${type} ${instance} ${host} ${port}`

class TakenSeat implements Seat {
  readonly console: SharedConsole
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

class SharedConsole {
  readonly name: SharedConsoleName
  readonly #grant = new ControlGrant<TakenSeat>()
  readonly #log: Logger
  /** Since when one session alone has had control, in milliseconds since 1970. */
  #heldSinceMs = 0

  constructor(name: SharedConsoleName, log: Logger) {
    this.name = name
    this.#log = log
  }

  get isEmpty(): boolean {
    return this.#grant.members.length === 0
  }

  join(seat: TakenSeat): void {
    this.#grant.join(seat)
    this.#changed()
  }

  leave(seat: TakenSeat): void {
    const change = this.#grant.leave(seat)
    seat.input.mayInput = false
    if (change) this.#logChange(change)
    this.#changed()
  }

  /** Returns the objection to a request. */
  act(seat: TakenSeat, request: Parameters<ControlGrant<TakenSeat>['act']>[1]): string | undefined {
    const outcome = this.#grant.act(seat, request)
    if ('objection' in outcome) return outcome.objection
    if (outcome.change) this.#logChange(outcome.change)
    this.#changed()
    return undefined
  }

  show(seat: TakenSeat): void {
    seat.page?.show(this.#viewOf(seat))
  }

  /** Switches the input of all before any page is shown the change. */
  #changed(): void {
    const { members } = this.#grant
    for (const seat of members) setInput(seat.input, this.#grant.hasControl(seat))
    for (const seat of members) this.show(seat)
  }

  #viewOf(seat: TakenSeat): PresenceView {
    const grant = this.#grant
    return {
      type: 'state',
      you: seat.id,
      participants: grant.members.map((member) => ({
        id: member.id,
        label: member.participant.label ?? null,
        role: member.role,
        since: new Date(member.participant.sinceMs).toISOString(),
        has_control: grant.hasControl(member),
      })),
      control: {
        held_by: grant.holder?.id ?? null,
        may_take: grant.mayTake(seat),
        requested_by: grant.requests.map(({ id }) => id),
      },
      ends_at: isoTime(seat.participant.endsAtMs),
    }
  }

  #logChange({ how, by, from, to }: ControlChange): void {
    const nowMs = Date.now()
    const held = from === null ? {} : { heldFrom: isoTime(this.#heldSinceMs), heldMs: nowMs - this.#heldSinceMs }
    this.#heldSinceMs = nowMs
    const { instance, type } = this.name
    this.#log.info({ instance, type, how, by, from, to, ...held }, 'control of a console changed')
  }
}

/** Writes only changes, since each may be a message to another process. */
function setInput(input: InputSwitch, mayInput: boolean): void {
  if (input.mayInput !== mayInput) input.mayInput = mayInput
}

const isoTime = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString())
