/** Limits concurrent sessions: in total, per token, per instance and per client address (for IPv6, per /64). */
import { networkOf } from '@oriel/runtime'
import { kindOf, type ServedConsoleType } from '../consoles/kinds.ts'
import { Refused } from '../refused.ts'
import type { SessionParties } from '../session/open-session.ts'
import { SingleUse, type Use } from './single-use.ts'

export interface SessionLimits {
  readonly maxTotal: number
  readonly maxPerToken: number
  readonly maxPerInstance: number
  readonly maxPerClient: number
  /** Whether a token can open only one console. Default: false. */
  readonly singleUse?: boolean
}

/** A session that is about to open. */
export interface Entrant extends SessionParties {
  readonly type: ServedConsoleType
  /** The session that ends as soon as this one is admitted. Its slot counts as free. */
  readonly replaces?: SessionParties
}

/** A slot for one session, released on disposal. */
export type Slot = Use

/** Hands out the slots for sessions: from this process, or from the primary, which counts for several. */
export interface Slots {
  /**
   * Takes a slot.
   * @throws Refused `too_many`, which names the limit in the log; `unknown_token` for a single-use token that is used up
   */
  enter(entrant: Entrant): Slot | Promise<Slot>
}

const UNLIMITED: Use = { opened: () => {}, [Symbol.dispose]: () => {} }

export class Limits implements Slots {
  readonly #counts = new Map<string, number>()
  readonly #limits: SessionLimits
  readonly #singleUse: SingleUse | undefined

  constructor(limits: SessionLimits) {
    this.#limits = limits
    this.#singleUse = limits.singleUse ? new SingleUse() : undefined
  }

  /** Implements {@link Slots.enter}. Does not use the token of a type whose token was used when its console file was served. */
  enter(entrant: Entrant): Slot {
    const counters = this.#countersOf(entrant)
    const freed = new Set(entrant.replaces && this.#countersOf(entrant.replaces).map(({ key }) => key))
    const full = counters.find(({ key, max }) => this.#count(key) - (freed.has(key) ? 1 : 0) >= max)
    if (full) throw new Refused('too_many', `${full.limit} is ${full.max}`)
    const use = kindOf(entrant.type).tokenUsedBy === 'session' ? this.use(entrant) : UNLIMITED
    for (const { key } of counters) this.#counts.set(key, this.#count(key) + 1)
    let held = true
    return {
      opened: () => use.opened(),
      [Symbol.dispose]: () => {
        if (held) for (const { key } of counters) this.#leave(key)
        held = false
        use[Symbol.dispose]()
      },
    }
  }

  /**
   * Uses a token without taking a slot.
   * @throws Refused `unknown_token` if it is used up
   */
  use(user: Omit<Entrant, 'instance'>): Use {
    return this.#singleUse?.take(user) ?? UNLIMITED
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

  #count(key: string): number {
    return this.#counts.get(key) ?? 0
  }

  #leave(key: string): void {
    const left = this.#count(key) - 1
    if (left > 0) this.#counts.set(key, left)
    else this.#counts.delete(key)
  }
}
