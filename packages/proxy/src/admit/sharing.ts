/**
 * Decides who may have a console while others have it: `sessions.share`, and console types whose servers serve one viewer.
 *
 * With `exclusive`, one viewer at a time controls a console. A second one is refused, or takes the console over once its own
 * session is open. Connections with the same token are one viewer: a page that dials again after its network failed may find
 * its earlier session still open. Watchers are not limited, except by a server that serves one viewer: there a watcher would
 * end the session of the viewer who controls the console, so it is refused.
 */
import { type ConsoleRole, consoleTypes } from '@oriel/contract'
import { kindOf, type ServedConsoleType } from '../consoles/kinds.ts'
import { Refused } from '../refused.ts'
import type { SessionParties } from '../session/open-session.ts'

export interface SharingRules {
  /** Whether several viewers may control a console. Default: `shared`. */
  readonly share?: 'shared' | 'exclusive'
  /** What happens to a second controlling viewer that does not request to take over. Default: `refuse`. */
  readonly inUse?: 'refuse' | 'take_over'
}

/** A viewer that is about to open a console. */
export interface Viewer extends SessionParties {
  readonly type: ServedConsoleType
  /** Default: `control`. */
  readonly role?: ConsoleRole | undefined
  /** Whether it requests to take the console over. */
  readonly takeOver?: boolean | undefined
  /** Its name, for the viewer from which it takes the console over. */
  readonly label?: string | undefined
}

/** A viewer's seat at a console, given up on disposal. */
export interface Seat extends Disposable {
  /** Takes the console over from other viewers, if the rules say so. Called once the viewer's session is open. */
  opened(): void
  /** Calls `listener` when another viewer takes the console over, or at once if that has happened already. */
  onTakenOver(listener: TakenOverListener): void
}

/** @param by the label of the viewer that took the console over, if it has one */
export type TakenOverListener = (by?: string) => void

/** The seat at a console that any number of viewers may have. */
const FREE_SEAT: Seat = { opened: () => {}, onTakenOver: () => {}, [Symbol.dispose]: () => {} }

export class Sharing {
  readonly #rules: SharingRules
  readonly #consoles = new Map<string, Set<TakenSeat>>()

  constructor(rules: SharingRules) {
    this.#rules = rules
  }

  /**
   * Seats a viewer.
   * @throws Refused `in_use`
   */
  enter(viewer: Viewer): Seat {
    if (this.#rules.share !== 'exclusive' && kindOf(viewer.type).viewers === 'many') return FREE_SEAT
    const seats = this.#seatsOf(viewer)
    const others = [...seats].filter((seat) => seat.viewer.tokenDigest !== viewer.tokenDigest)
    const inTheWay = others.find((seat) => this.#refuses(viewer, seat.viewer))
    if (inTheWay)
      throw new Refused('in_use', `${viewer.client} requests the console that ${inTheWay.viewer.client} uses`)
    const seat = new TakenSeat(viewer, {
      opened: () => this.#takeOver(seat, seats),
      left: () => seats.delete(seat) && seats.size === 0 && this.#consoles.delete(keyOf(viewer)),
    })
    seats.add(seat)
    return seat
  }

  #seatsOf(viewer: Viewer): Set<TakenSeat> {
    const key = keyOf(viewer)
    const seats = this.#consoles.get(key) ?? new Set()
    this.#consoles.set(key, seats)
    return seats
  }

  #refuses(viewer: Viewer, other: Viewer): boolean {
    if (!controls(viewer)) return kindOf(viewer.type).viewers === 'one'
    return this.#excludes(viewer, other) && this.#rules.inUse !== 'take_over' && !viewer.takeOver
  }

  #takeOver(seat: TakenSeat, seats: Set<TakenSeat>): void {
    for (const other of [...seats]) {
      if (other === seat || !this.#excludes(seat.viewer, other.viewer) || isSamePage(seat.viewer, other.viewer))
        continue
      other.takenOver(seat.viewer.label)
    }
  }

  /** Whether both cannot control the console at the same time. Native consoles have a rule of their own, `spice.in_use`. */
  #excludes(viewer: Viewer, other: Viewer): boolean {
    const isNative = kindOf(viewer.type).transport === 'native'
    return this.#rules.share === 'exclusive' && !isNative && controls(viewer) && controls(other)
  }
}

interface SeatEvents {
  opened(): void
  left(): void
}

/** Calls a listener when the console is taken over, and one that is added later at once. */
export class TakeOverNotice {
  #listener: TakenOverListener | undefined
  #isTakenOver = false
  #by: string | undefined

  onTakenOver(listener: TakenOverListener): void {
    this.#listener = listener
    if (this.#isTakenOver) listener(this.#by)
  }

  takenOver(by?: string): void {
    this.#isTakenOver = true
    this.#by = by
    this.#listener?.(by)
  }
}

class TakenSeat extends TakeOverNotice implements Seat {
  readonly viewer: Viewer
  readonly #events: SeatEvents

  constructor(viewer: Viewer, events: SeatEvents) {
    super()
    this.viewer = viewer
    this.#events = events
  }

  opened(): void {
    this.#events.opened()
  }

  /** Gives the seat up as well. */
  override takenOver(by?: string): void {
    this.#events.left()
    super.takenOver(by)
  }

  [Symbol.dispose](): void {
    this.#events.left()
  }
}

/** All types of one protocol share the console's server. */
const keyOf = ({ instance, type }: Viewer) => `${consoleTypes[type].protocol} ${instance}`

const controls = ({ role = 'control' }: Viewer) => role === 'control'

/** Whether two connections are channels of one page. */
const isSamePage = (a: Viewer, b: Viewer) =>
  consoleTypes[a.type].channelsShareToken && a.tokenDigest === b.tokenDigest && a.client === b.client
