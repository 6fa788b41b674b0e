/**
 * Follows machines that move to another host, by the authority's answers alone. A live migration ends the connection to the
 * old host, often before the console has its new address. Until then the client's connection is kept.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '@oriel/runtime'
import type { Admission, Authority, LostConsole, Whereabouts } from '../authority/authority.ts'

export interface MoveTimes {
  /** The pause between two questions about one instance. */
  readonly pauseMs: number
  /** How long a machine may take to arrive. */
  readonly deadlineMs: number
}

const TIMES: MoveTimes = { pauseMs: 500, deadlineMs: 120_000 }
/** Each pause is longer or shorter by up to this share, so that many proxies do not ask at the same time. */
const JITTER = 0.2
/** The number of questions until an unchanged address is believed: the authority may notice a migration late. */
const UNCHANGED_ANSWERS = 3

export interface MovesOptions {
  readonly authority: Pick<Authority, 'locate'>
  readonly log: Logger
  readonly times?: Partial<MoveTimes> | undefined
}

/** A console to which the connection has ended, and its address. */
export type EndedConsole = LostConsole & Pick<Admission, 'host' | 'port'>

export class Moves {
  readonly #options: MovesOptions
  readonly #times: MoveTimes
  /** The searches in progress, by instance and address. */
  readonly #searches = new Map<string, Promise<boolean>>()

  constructor(options: MovesOptions) {
    this.#options = options
    this.#times = { ...TIMES, ...options.times }
  }

  /**
   * Resolves once it is certain whether the machine runs on another host now. All sessions of one console share the questions.
   * Never rejects: without an answer, the console counts as where it was.
   */
  hasMoved(console: EndedConsole): Promise<boolean> {
    const key = `${console.instance} ${console.type} ${console.host} ${console.port}`
    const search = this.#searches.get(key) ?? this.#search(console).finally(() => this.#searches.delete(key))
    this.#searches.set(key, search)
    return search
  }

  async #search(console: EndedConsole): Promise<boolean> {
    const deadline = AbortSignal.timeout(this.#times.deadlineMs)
    let unchanged = 0
    let isMoving = false
    while (!deadline.aborted) {
      const where = await this.#ask(console, deadline)
      if (where.is === 'gone' || (where.is === 'unknown' && !isMoving)) return false
      if (where.is === 'at' && isElsewhere(where, console)) return true
      if (where.is === 'at') unchanged += 1
      if (unchanged === UNCHANGED_ANSWERS) return false
      isMoving ||= where.is === 'moving'
      await delay(this.#times.pauseMs * (1 - JITTER + 2 * JITTER * Math.random()), undefined, { ref: false })
    }
    this.#options.log.warn({ instance: console.instance }, 'a machine that is being migrated has not arrived in time')
    return false
  }

  async #ask(console: EndedConsole, signal: AbortSignal): Promise<Whereabouts> {
    try {
      return await this.#options.authority.locate!(console, signal)
    } catch (err) {
      this.#options.log.debug({ err, instance: console.instance }, 'the authority could not say where a console is')
      return { is: 'unknown' }
    }
  }
}

const isElsewhere = (where: Pick<EndedConsole, 'host' | 'port'>, console: EndedConsole) =>
  where.host !== console.host || where.port !== console.port
