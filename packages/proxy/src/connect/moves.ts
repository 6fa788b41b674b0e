/**
 * Follows machines that move to another host, by the authority's answers alone. A live migration ends the connection to the
 * old host, often before the console has its new address. Until then the client's connection is kept.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { deadline, type Logger, within } from '@oriel/runtime'
import type { Admission, Authority, ConsoleAddress, LostConsole, Whereabouts } from '../authority/authority.ts'

export interface MoveTimes {
  /** The pause between two questions about one instance. */
  readonly pauseMs: number
  /** How long the authority may take to answer one question. */
  readonly answerMs: number
  /** How long a machine may take to arrive. */
  readonly deadlineMs: number
}

const TIMES: MoveTimes = { pauseMs: 500, answerMs: 3_000, deadlineMs: 120_000 }
/** Each pause is longer or shorter by up to this share, so that many proxies do not ask at the same time. */
const JITTER = 0.2

export interface MovesOptions {
  readonly authority: Pick<Authority, 'locate' | 'follow'>
  readonly log: Logger
  readonly times?: Partial<MoveTimes> | undefined
  /** Called once for each search, for the metrics. Not for a console that is where it was, without a migration. */
  readonly onResult?: (type: LostConsole['type'], result: 'arrived' | 'stayed' | 'lost') => void
}

/** A console to which the connection has ended, and its address. */
export type EndedConsole = LostConsole & Pick<Admission, 'host' | 'port'>

/** Where a console was found. `off`: its machine is switched off. `undefined`: the authority names no place. */
export type FoundConsole = ConsoleAddress | 'off' | undefined

interface Search {
  readonly found: FoundConsole
  readonly wasMoving: boolean
}

export class Moves {
  readonly #options: MovesOptions
  readonly #times: MoveTimes
  /** The searches in progress, by instance and address. */
  readonly #searches = new Map<string, Promise<FoundConsole>>()

  constructor(options: MovesOptions) {
    this.#options = options
    this.#times = { ...TIMES, ...options.times }
  }

  /**
   * Resolves once it is certain whether the machine runs on another host now, or is switched off. All sessions of one console
   * share the questions. Never rejects: without an answer, the console counts as where it was. So does a console whose migration
   * or stop the authority has not noticed yet; its page opens it again a moment later, as after any other end.
   */
  async fateOf(console: EndedConsole): Promise<'moved' | 'switched_off' | undefined> {
    const found = await this.find(console)
    if (found === 'off') return 'switched_off'
    return found !== undefined && !isSamePlace(found, console) ? 'moved' : undefined
  }

  /** Resolves with where the console is once no migration is in progress, which may be where it was. Never rejects. */
  find(console: EndedConsole): Promise<FoundConsole> {
    const key = `${console.instance} ${console.type} ${console.host} ${console.port}`
    const search = this.#searches.get(key) ?? this.#search(console).finally(() => this.#searches.delete(key))
    this.#searches.set(key, search)
    return search
  }

  /** Whether the authority lets a session go on at the address where its console was found. Never rejects. */
  async mayFollow(session: LostConsole, found: ConsoleAddress): Promise<boolean> {
    const { follow } = this.#options.authority
    if (!follow) return true
    const where = await this.#ask(session, follow)
    return where.is === 'at' && isSamePlace(where, found)
  }

  async #search(console: EndedConsole): Promise<FoundConsole> {
    const { found, wasMoving } = await this.#findAddress(console)
    const isFound = found !== undefined && found !== 'off'
    const isElsewhere = isFound && !isSamePlace(found, console)
    const result = isElsewhere ? 'arrived' : isFound ? 'stayed' : 'lost'
    if (isElsewhere || wasMoving) this.#options.onResult?.(console.type, result)
    return found
  }

  async #findAddress(console: EndedConsole): Promise<Search> {
    const arrival = AbortSignal.timeout(this.#times.deadlineMs)
    let isMoving = false
    while (!arrival.aborted) {
      const where = await this.#ask(console, this.#options.authority.locate!)
      if (where.is === 'at') return { found: where, wasMoving: isMoving }
      if (where.is === 'off') return { found: 'off', wasMoving: isMoving }
      if (where.is === 'gone' || (where.is === 'unknown' && !isMoving)) return { found: undefined, wasMoving: isMoving }
      isMoving = true
      await delay(this.#times.pauseMs * (1 - JITTER + 2 * JITTER * Math.random()), undefined, { ref: false })
    }
    this.#options.log.warn({ instance: console.instance }, 'a machine that is being migrated has not arrived in time')
    return { found: undefined, wasMoving: true }
  }

  async #ask(console: LostConsole, question: NonNullable<Authority['locate']>): Promise<Whereabouts> {
    using limit = deadline(this.#times.answerMs)
    try {
      return await within(limit.signal, question(console, limit.signal))
    } catch (err) {
      this.#options.log.debug({ err, instance: console.instance }, 'the authority could not say where a console is')
      return { is: 'unknown' }
    }
  }
}

/** Whether two addresses lead to the same port. */
export const isSamePlace = (a: ConsoleAddress, b: ConsoleAddress): boolean => a.host === b.host && a.port === b.port
