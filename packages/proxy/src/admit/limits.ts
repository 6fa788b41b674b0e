/** Limits concurrent sessions: in total, per token, per instance and per client address (for IPv6, per /64). */
import { networkOf } from '@oriel/runtime'
import { kindOf } from '../consoles/kinds.ts'
import { Refused } from '../refused.ts'
import type { SessionParties } from '../session/open-session.ts'
import { type Seat, Sharing, type SharingRules, type TakenOverListener, type Viewer } from './sharing.ts'
import { SingleUse, type Use } from './single-use.ts'

export interface SessionLimits extends SharingRules {
  readonly maxTotal: number
  readonly maxPerToken: number
  readonly maxPerInstance: number
  readonly maxPerClient: number
  /** Whether a token can open only one console, if its authority does not decide that. Default: false. */
  readonly singleUse?: boolean
}

/** A session that is about to open. */
export interface Entrant extends Viewer {
  /** Whether the token can open only one console. Absent: the configuration decides. */
  readonly singleUse?: boolean | undefined
  /** Whether it resumes an earlier session of the token. */
  readonly resumes?: boolean | undefined
  /** The session that ends as soon as this one is admitted. Its slot counts as free. */
  readonly replaces?: SessionParties
}

/** A slot for one session, released on disposal. */
export interface Slot extends Use, Pick<Seat, 'onTakenOver'> {
  /** Forbids to resume sessions of the token, because an operator ended this one. */
  forbidResume(): void
}

/** Hands out the slots for sessions: from this process, or from the primary, which counts for several. */
export interface Slots {
  /**
   * Takes a slot.
   * @throws Refused `too_many`, which names the limit in the log; `in_use`; `unknown_token` for a single-use token that is
   *   used up, and for a session that may not be resumed
   */
  enter(entrant: Entrant): Slot | Promise<Slot>
}

/** The maximum number of remembered tokens whose sessions may not be resumed; the oldest are forgotten first. */
const MAX_FORBIDDEN = 10_000

const UNLIMITED: Use = { opened: () => {}, [Symbol.dispose]: () => {} }

export class Limits implements Slots {
  readonly #counts = new Map<string, number>()
  readonly #limits: SessionLimits
  readonly #singleUse = new SingleUse()
  readonly #sharing: Sharing
  readonly #notResumable = new Set<string>()
  readonly #events: SlotEvents = {
    left: (parties) => {
      for (const { key } of this.#countersOf(parties)) this.#leave(key)
    },
    resumeForbidden: ({ tokenDigest }) => this.#forbidResume(tokenDigest),
  }

  constructor(limits: SessionLimits) {
    this.#limits = limits
    this.#sharing = new Sharing(limits)
  }

  /** Implements {@link Slots.enter}. Does not use the token of a type whose token was used when its console file was served. */
  enter(entrant: Entrant): Slot {
    if (entrant.resumes && this.#notResumable.has(entrant.tokenDigest))
      throw new Refused('unknown_token', 'an operator ended the session')
    const counters = this.#countersOf(entrant)
    const freed = new Set(entrant.replaces && this.#countersOf(entrant.replaces).map(({ key }) => key))
    const full = counters.find(({ key, max }) => this.#count(key) - (freed.has(key) ? 1 : 0) >= max)
    if (full) throw new Refused('too_many', `${full.limit} is ${full.max}`)
    using undo = new DisposableStack()
    const seat = undo.use(this.#sharing.enter(entrant))
    const use = undo.use(kindOf(entrant.type).tokenUsedBy === 'session' ? this.use(entrant) : UNLIMITED)
    undo.move()
    for (const { key } of counters) this.#counts.set(key, this.#count(key) + 1)
    return new TakenSlot(entrant, use, seat, this.#events)
  }

  /**
   * Uses a token without taking a slot.
   * @throws Refused `unknown_token` if it is used up
   */
  use(user: Omit<Entrant, 'instance'>): Use {
    return (user.singleUse ?? this.#limits.singleUse) ? this.#singleUse.take(user) : UNLIMITED
  }

  #countersOf({ tokenDigest, instance, client }: SessionParties) {
    const { maxTotal, maxPerToken, maxPerInstance, maxPerClient } = this.#limits
    return [
      { limit: 'max_total', key: 'total', max: maxTotal },
      { limit: 'max_per_token', key: `token ${tokenDigest}`, max: maxPerToken },
      { limit: 'max_per_instance', key: `instance ${instance}`, max: maxPerInstance },
      { limit: 'max_per_client', key: `client ${networkOf(client)}`, max: maxPerClient },
    ]
  }

  #forbidResume(tokenDigest: string): void {
    this.#notResumable.delete(tokenDigest)
    this.#notResumable.add(tokenDigest)
    const [oldest] = this.#notResumable
    if (this.#notResumable.size > MAX_FORBIDDEN) this.#notResumable.delete(oldest!)
  }

  #count(key: string): number {
    return this.#counts.get(key) ?? 0
  }

  #leave(key: string): void {
    const left = this.#count(key) - 1
    if (left > 0) this.#counts.set(key, left)
    else this.#counts.delete(key)
  }
}

interface SlotEvents {
  left(parties: SessionParties): void
  resumeForbidden(parties: SessionParties): void
}

/** Keeps only what the end of the session needs, which may be days away. */
class TakenSlot implements Slot {
  readonly #parties: SessionParties
  readonly #use: Use
  readonly #seat: Seat
  readonly #events: SlotEvents
  #isHeld = true

  constructor({ tokenDigest, instance, client }: SessionParties, use: Use, seat: Seat, events: SlotEvents) {
    this.#parties = { tokenDigest, instance, client }
    this.#use = use
    this.#seat = seat
    this.#events = events
  }

  opened(): void {
    this.#use.opened()
    this.#seat.opened()
  }

  onTakenOver(listener: TakenOverListener): void {
    this.#seat.onTakenOver(listener)
  }

  forbidResume(): void {
    this.#events.resumeForbidden(this.#parties)
  }

  [Symbol.dispose](): void {
    if (this.#isHeld) this.#events.left(this.#parties)
    this.#isHeld = false
    this.#use[Symbol.dispose]()
    this.#seat[Symbol.dispose]()
  }
}
