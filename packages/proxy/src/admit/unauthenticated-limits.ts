/**
 * Limits for unauthenticated clients: pending connections and token look-ups per client address. A trusted balancer is
 * never counted itself; its connections count towards the client that it names.
 */
import type { Socket } from 'node:net'
import { type AddressSet, networkOf } from '@oriel/runtime'
import { Refused } from '../refused.ts'
import { RateLimit } from './rate-limit.ts'
import { plainAddress } from './site.ts'
import { Waiting } from './waiting.ts'

export interface UnauthenticatedBounds {
  readonly maxWaitingPerClient: number
  /** The current limit on waiting connections in total. Default: none. */
  readonly maxWaiting?: () => number
  readonly unknownTokensPerMinute: number
  readonly trustedProxies: AddressSet
  /** Called, at most once a minute per address, when a connection is dropped. */
  readonly onFull: (client: string) => void
  /** Called, at most once a minute, when a silent connection is dropped to make room for a new one. */
  readonly onDisplaced?: (client: string) => void
}

/** When a slot is likely to be free again: the client's other connections settle within seconds. */
const RETRY_AFTER_SECONDS = 5

export class UnauthenticatedLimits {
  readonly #waiting: Waiting
  readonly #unknown: RateLimit
  readonly #trusted: AddressSet
  readonly #lookUps = new Map<string, LookUps>()

  constructor({
    maxWaiting,
    maxWaitingPerClient,
    unknownTokensPerMinute,
    trustedProxies,
    onFull,
    onDisplaced,
  }: UnauthenticatedBounds) {
    const fullReports = new RateLimit({ perMinute: 1 })
    const displacedReports = new RateLimit({ perMinute: 1 })
    this.#waiting = new Waiting({
      ...(maxWaiting && { maxWaiting }),
      maxWaitingPerClient,
      onDisplaced: (client) => {
        if (!displacedReports.take('')) onDisplaced?.(client)
      },
      onFull: (client) => {
        if (!fullReports.take(networkOf(client))) onFull(client)
      },
    })
    this.#unknown = new RateLimit({ perMinute: unknownTokensPerMinute })
    this.#trusted = trustedProxies
  }

  /** Counts a new connection, and drops it if its client has too many. */
  arrive(socket: Socket): void {
    if (!this.#trusted.has(plainAddress(socket.remoteAddress))) this.#waiting.arrive(socket)
  }

  /** Stops counting a connection, because its client has a console. */
  admitted(socket: Socket): void {
    this.#waiting.slotOf(socket)?.settled()
  }

  /**
   * Counts a connect, until disposal, for the client that a trusted balancer names. Direct clients are counted in `arrive`.
   * @throws Refused `too_many_attempts`
   */
  connecting(socket: Socket, client: string): Disposable {
    const counted = this.#trusted.has(client) || this.#waiting.slotOf(socket) !== undefined
    const leave = counted ? () => {} : this.#waiting.enter(client)
    if (!leave) throw tooManyAttempts('sessions.max_waiting_per_client is reached', RETRY_AFTER_SECONDS)
    return { [Symbol.dispose]: leave }
  }

  /**
   * Runs the look-up of a token. Each counts when it starts, so that the limit also holds for concurrent look-ups, and is
   * refunded if it finds a token or the authority fails. Beyond the limit, a look-up waits for the same client's look-ups
   * in flight, because their outcome decides whether it is refused.
   * @throws Refused `too_many_attempts` at the limit; the error of `lookUp`; the signal's reason
   */
  async ask<T>(client: string, lookUp: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#trusted.has(client)) return lookUp()
    const network = networkOf(client)
    await this.#reserve(network, signal)
    let counts = true
    try {
      const found = await lookUp()
      counts = false
      return found
    } catch (error) {
      // If the client disconnects early, the authority has still received the request, so the look-up counts.
      counts = !(error instanceof Refused) || error.refusal === 'unknown_token'
      throw error
    } finally {
      if (!counts) this.#unknown.giveBack(network)
      this.#settled(network)
    }
  }

  async #reserve(network: string, signal?: AbortSignal): Promise<void> {
    for (let full = this.#unknown.take(network); full; full = this.#unknown.take(network)) {
      const underWay = this.#lookUps.get(network)
      if (!underWay) throw tooManyAttempts('sessions.unknown_tokens_per_minute is reached', full.retryAfterSeconds)
      await underWay.oneSettled.promise
      signal?.throwIfAborted()
    }
    const underWay = this.#lookUps.get(network) ?? { count: 0, oneSettled: Promise.withResolvers<void>() }
    underWay.count += 1
    this.#lookUps.set(network, underWay)
  }

  #settled(network: string): void {
    const underWay = this.#lookUps.get(network)!
    underWay.count -= 1
    underWay.oneSettled.resolve()
    underWay.oneSettled = Promise.withResolvers()
    if (underWay.count === 0) this.#lookUps.delete(network)
  }
}

/** The look-ups of one network that the authority has not answered yet. */
interface LookUps {
  count: number
  oneSettled: PromiseWithResolvers<void>
}

const tooManyAttempts = (detail: string, seconds: number) =>
  new Refused('too_many_attempts', detail, { headers: { 'Retry-After': String(seconds) } })
