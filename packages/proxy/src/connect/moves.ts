/**
 * Follows machines that move to another host, by the authority's answers alone. A live migration ends the connection to the
 * old host, often before the console has its new address. Until then the client's connection is kept.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { deadline, type Logger, within } from '@oriel/runtime'
import type { Admission, Authority, LostConsole, Whereabouts } from '../authority/authority.ts'

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
   * Never rejects: without an answer, the console counts as where it was. So does a console whose migration the authority has
   * not noticed yet; its page opens it again a moment later, as after any other end.
   */
  hasMoved(console: EndedConsole): Promise<boolean> {
    const key = `${console.instance} ${console.type} ${console.host} ${console.port}`
    const search = this.#searches.get(key) ?? this.#search(console).finally(() => this.#searches.delete(key))
    this.#searches.set(key, search)
    return search
  }

  async #search(console: EndedConsole): Promise<boolean> {
    const arrival = AbortSignal.timeout(this.#times.deadlineMs)
    let isMoving = false
    while (!arrival.aborted) {
      const where = await this.#ask(console)
      if (where.is === 'at') return isElsewhere(where, console)
      if (where.is === 'gone' || (where.is === 'unknown' && !isMoving)) return false
      isMoving = true
      await delay(this.#times.pauseMs * (1 - JITTER + 2 * JITTER * Math.random()), undefined, { ref: false })
    }
    this.#options.log.warn({ instance: console.instance }, 'a machine that is being migrated has not arrived in time')
    return false
  }

  async #ask(console: EndedConsole): Promise<Whereabouts> {
    using limit = deadline(this.#times.answerMs)
    try {
      return await within(limit.signal, this.#options.authority.locate!(console, limit.signal))
    } catch (err) {
      this.#options.log.debug({ err, instance: console.instance }, 'the authority could not say where a console is')
      return { is: 'unknown' }
    }
  }
}

const isElsewhere = (where: Pick<EndedConsole, 'host' | 'port'>, console: EndedConsole) =>
  where.host !== console.host || where.port !== console.port
