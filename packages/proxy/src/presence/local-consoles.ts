/** The consoles that the sessions of this process, or of all workers, share: who is there, and who has control. */
import type { CloseReasonName, PresenceConsoleRequest } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import type { Arbiter, ConsoleElsewhere, ControlStep, ElsewhereListener } from './elsewhere.ts'
import type { ControlChange, ControlRequest, Step } from './grant.ts'
import { isoTime, type Occupant, SharedConsole, TakenSeat } from './shared-console.ts'
import type {
  AttachedPage,
  ConsoleAddress,
  InputSwitch,
  Participant,
  PresencePage,
  Seat,
  SharedConsoleName,
  SharedConsoles,
} from './shared-consoles.ts'

export interface LocalConsolesOptions {
  readonly log: Logger
  /** Ends a session whose page requests that. */
  readonly endSession: (id: string) => void
  /** Decides between this proxy and others, for sessions that join without an arbiter. Absent: there are no other proxies. */
  readonly arbiter?: Arbiter | undefined
}

/** Keeps little for each session: most consoles have one, and no page that asks. */
export class LocalConsoles implements SharedConsoles, ElsewhereListener {
  readonly #options: LocalConsolesOptions
  /** The consoles by instance, which has a few at most. */
  readonly #consoles = new Map<string, readonly SharedConsole[]>()
  /** What the authority says about consoles that other proxies have open too, by {@link keyOf}. */
  #elsewhere = new Map<string, ConsoleElsewhere>()

  constructor(options: LocalConsolesOptions) {
    this.#options = options
  }

  join(
    name: SharedConsoleName,
    participant: Participant,
    input: InputSwitch,
    arbiter: Arbiter | undefined = this.#options.arbiter,
  ): Seat {
    const ofInstance = this.#consoles.get(name.instance) ?? []
    const found = ofInstance.find((console) => isSame(console.name, name))
    const console = found ?? new SharedConsole(name)
    // A spread would reserve room for sixteen more.
    if (!found) this.#consoles.set(name.instance, ofInstance.concat([console]))
    const seat = new TakenSeat(console, { participant, input, arbiter }, this.#onLeave)
    console.join(seat)
    if (this.#elsewhere.has(keyOf(name))) this.#follow(console)
    else console.changed()
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

  learn(state: ConsoleElsewhere): void {
    const known = this.#elsewhere.get(keyOf(state))
    if (known && known.revision >= state.revision) return
    const isAlone = !known && state.participants.length === 0
    if (!isAlone) this.#elsewhere.set(keyOf(state), state)
    for (const console of isAlone ? [] : this.#named(state)) this.#follow(console)
  }

  show(states: readonly ConsoleElsewhere[] | undefined): void {
    const earlier = this.#elsewhere
    this.#elsewhere = new Map(
      (states ?? []).map((state) => {
        const known = earlier.get(keyOf(state))
        return [keyOf(state), known && known.revision > state.revision ? known : state]
      }),
    )
    const changed = new Map([...earlier, ...this.#elsewhere])
    for (const state of changed.values()) for (const console of this.#named(state)) this.#follow(console)
  }

  readonly #onLeave = (seat: TakenSeat, reason: CloseReasonName): void => {
    const { console, page, input } = seat
    if (!console.members.includes(seat)) return
    const { isShared } = console
    const change = console.leave(seat)
    input.mayInput = false
    seat.page = undefined
    if (change) this.#logChange(console, change)
    // The next heartbeat reports the end of the session.
    if (change && (isShared || change.from !== seat.id)) this.#report(seat, change)
    console.changed()
    if (console.seats.length === 0) this.#forget(console)
    page?.end(reason)
  }

  #named({ instance, type }: Pick<SharedConsoleName, 'instance' | 'type'>): readonly SharedConsole[] {
    return (this.#consoles.get(instance) ?? []).filter(({ name }) => name.type === type)
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
      for (const { seats } of ofInstance) {
        const seat = seats.find(({ id }) => id === sessionId)
        if (seat) return seat
      }
    }
    return undefined
  }

  #request(seat: TakenSeat, request: PresenceConsoleRequest): string | undefined | Promise<string | undefined> {
    if (!seat.console.members.includes(seat)) return 'The session has ended.'
    if (request.type === 'leave') this.#options.endSession(seat.id)
    else return this.#act(seat, request)
    return undefined
  }

  /** Returns the objection to a request. The authority decides if other proxies have the console open too. */
  #act(seat: TakenSeat, request: ControlRequest): string | undefined | Promise<string | undefined> {
    const { console } = seat
    const step = console.plan(seat, request)
    if ('objection' in step) return step.objection
    if (console.isShared && seat.arbiter && !('nothing' in step)) return this.#ask(seat, seat.arbiter, step)
    const { change } = console.carryOut(seat, step)
    if (change) this.#logChange(console, change)
    console.changed()
    if (change) this.#report(seat, change)
    if ('requests' in step) this.#tell(seat, step)
    return undefined
  }

  async #ask(
    seat: TakenSeat,
    arbiter: Arbiter,
    step: Exclude<Step<Occupant>, { nothing: true }>,
  ): Promise<string | undefined> {
    try {
      const state = await arbiter.ask(seat.id, messageOf(step, seat.console.heldBy))
      if (!state) return 'The session has ended.'
      this.learn(state)
      return 'how' in step && state.heldBy !== (step.to?.id ?? null) ? OTHER_FIRST : undefined
    } catch (err) {
      this.#options.log.warn({ err, session: seat.id }, 'moving control of a console at the authority failed')
      return UNDECIDED
    }
  }

  /** Reports a request for control to the authority, in case other proxies open the console. */
  #tell({ arbiter, id }: TakenSeat, step: ControlStep): void {
    arbiter?.ask(id, step).catch((err) => this.#options.log.debug({ err, session: id }, UNTOLD))
  }

  /** Reports a change that this proxy decided alone to the authority. If that fails, `#follow` repeats it. */
  #report(seat: TakenSeat, { from, to }: Pick<ControlChange, 'from' | 'to'>): void {
    const { console, arbiter } = seat
    if (!arbiter) return
    console.isUnreported = true
    arbiter.ask(seat.id, { from, to }).then(
      (state) => {
        if (console.heldBy === to) console.isUnreported = false
        if (state) this.learn(state)
      },
      (err) => this.#options.log.debug({ err, session: seat.id }, UNTOLD),
    )
  }

  #follow(console: SharedConsole): void {
    const state = this.#elsewhere.get(keyOf(console.name))
    const change = console.follow(state)
    if (change) this.#logChange(console, change)
    const { reporter } = console
    if (state && console.isUnreported && reporter) this.#report(reporter, { from: state.heldBy, to: console.heldBy })
    if (console.releaseAbandoned()) this.#releaseAbandoned(console)
    console.changed()
  }

  #releaseAbandoned(console: SharedConsole): void {
    const holder = console.seats.find(({ id }) => id === console.heldBy)!
    const { change } = console.carryOut(holder, { how: 'released', to: undefined })
    if (!change) return
    this.#logChange(console, change)
    this.#report(holder, change)
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

const UNTOLD = 'reporting control of a console to the authority failed'
const OTHER_FIRST = 'Another participant moved control at the same moment. Try again.'
const UNDECIDED = 'The service that decides about control does not answer. Try again in a moment.'

function messageOf(step: Exclude<Step<Occupant>, { nothing: true }>, from: string | null): ControlStep {
  return 'how' in step ? { from, to: step.to?.id ?? null } : { requests: step.requests }
}

const keyOf = ({ instance, type }: Pick<SharedConsoleName, 'instance' | 'type'>) => `${type} ${instance}`

const isSame = (a: SharedConsoleName, b: SharedConsoleName) =>
  a.type === b.type && a.host === b.host && a.port === b.port
