/** Connections that have no console yet: how many there may be, in all and of one client. */
import type { Socket } from 'node:net'
import { networkOf } from '@oriel/runtime'
import { peerOf } from './proxy-protocol.ts'
import { plainAddress } from './site.ts'

export interface WaitingBounds {
  /** The current limit in total. Beyond it a new connection replaces a waiting one. Default: none. */
  readonly maxWaiting?: () => number
  /** How long until a connection that has sent something may be replaced as well, milliseconds. Default: never. */
  readonly displacedAfterMs?: number
  /** Of one address; of IPv6, of one /64, which is what one customer gets. */
  readonly maxWaitingPerClient: number
  /** How long one may wait. Default: whoever takes it has deadlines of its own. */
  readonly handshakeTimeoutMs?: number
  /** Told of a connection that is dropped, because its client has too many. Default: nobody is. */
  readonly onFull?: (client: string) => void
  /** Called with the client of a connection that was replaced. Default: no call. */
  readonly onDisplaced?: (client: string) => void
}

/** A place in the queue. */
export interface WaitingPlace {
  /** Aborts when it takes too long. */
  readonly signal: AbortSignal
  /** It waits no more. */
  readonly settled: () => void
}

interface Held extends WaitingPlace {
  readonly client: string
  readonly socket: Socket
  drop(reason: string): void
  /** The bytes read before the connection got its place, such as a PROXY header. */
  readonly bytesBefore: number
  readonly sinceMs: number
}

/** How many waiting connections are examined for one to replace, the oldest first. */
const LOOKED_AT = 2_048

/** Connections between their first packet and their console. TLS hands over another socket than the one that arrived. */
export class Waiting {
  /** The oldest first. */
  readonly #places = new Map<string, Held>()
  readonly #byClient = new Map<string, number>()
  readonly #bounds: WaitingBounds

  constructor(bounds: WaitingBounds) {
    this.#bounds = bounds
  }

  /**
   * Gives a connection a place until it is settled or closed. Drops it if its client has too many. If all places are taken,
   * replaces the oldest connection that has sent nothing, and drops the new one only if there is none to replace: silent
   * connections from many addresses must not lock other clients out.
   */
  arrive(socket: Socket): void {
    const client = plainAddress(socket.remoteAddress)
    const leave = this.enter(client)
    if (!leave) return void socket.destroy()
    if (!this.#makeRoom()) {
      leave()
      return void socket.destroy()
    }
    const key = peerOf(socket)
    const late = new AbortController()
    const settled = () => {
      clearTimeout(timer)
      leave()
      if (this.#places.get(key) === place) this.#places.delete(key)
    }
    const drop = (reason: string) => {
      late.abort(new Error(reason))
      socket.destroy()
      settled()
    }
    const { bytesRead: bytesBefore } = socket
    const place: Held = {
      ...{ signal: late.signal, settled, drop, client, socket, bytesBefore },
      sinceMs: performance.now(),
    }
    const timer = this.#limit(() => drop('no console in time'))
    this.#places.set(key, place)
    socket.once('close', settled)
  }

  placeOf(socket: Socket): WaitingPlace | undefined {
    return this.#places.get(peerOf(socket))
  }

  /** Counts one more of `client`; what it gives ends that. `undefined`: it has too many. */
  enter(client: string): (() => void) | undefined {
    const key = networkOf(client)
    const waiting = this.#byClient.get(key) ?? 0
    if (waiting >= this.#bounds.maxWaitingPerClient) return void this.#bounds.onFull?.(client)
    this.#byClient.set(key, waiting + 1)
    let held = true
    return () => {
      if (held) this.#leave(key)
      held = false
    }
  }

  /** Makes room for one more, by dropping another connection if necessary. Returns whether there is room. */
  #makeRoom(): boolean {
    const { maxWaiting, displacedAfterMs = Infinity, onDisplaced } = this.#bounds
    if (!maxWaiting || this.#places.size < maxWaiting()) return true
    const displaced = this.#displaceable(performance.now() - displacedAfterMs)
    displaced?.drop('displaced by a newcomer')
    if (displaced) onDisplaced?.(displaced.client)
    return displaced !== undefined
  }

  /** The oldest that has sent nothing, else the oldest that arrived before `lateMs`. */
  #displaceable(lateMs: number): Held | undefined {
    let late: Held | undefined
    let looked = 0
    for (const place of this.#places.values()) {
      if (isSilent(place)) return place
      if (place.sinceMs <= lateMs) late ??= place
      looked += 1
      if (looked === LOOKED_AT) break
    }
    return late
  }

  #limit(act: () => void): NodeJS.Timeout | undefined {
    const { handshakeTimeoutMs } = this.#bounds
    return handshakeTimeoutMs === undefined ? undefined : setTimeout(act, handshakeTimeoutMs)
  }

  #leave(key: string): void {
    const left = (this.#byClient.get(key) ?? 1) - 1
    if (left > 0) this.#byClient.set(key, left)
    else this.#byClient.delete(key)
  }
}

const isSilent = ({ socket, bytesBefore }: Held) => socket.bytesRead <= bytesBefore
