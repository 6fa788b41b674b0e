/** Connections that have no console yet: how many there may be, in all and of one client. */
import type { Socket } from 'node:net'
import { networkOf } from '@oriel/runtime'
import { plainAddress } from '../admit/site.ts'
import { peerOf } from './proxy-protocol.ts'

export interface WaitingBounds {
  /** In all. Default: any number. */
  readonly maxWaiting?: number
  /** Of one address; of IPv6, of one /64, which is what one customer gets. */
  readonly maxWaitingPerClient: number
  /** How long one may wait. Default: whoever takes it has deadlines of its own. */
  readonly handshakeTimeoutMs?: number
  /** Told of a connection that is dropped, because its client has too many. Default: nobody is. */
  readonly onFull?: (client: string) => void
}

/** A place in the queue. */
export interface WaitingPlace {
  /** Aborts when it takes too long. */
  readonly signal: AbortSignal
  /** It waits no more. */
  readonly settled: () => void
}

/** Connections between their first packet and their console. TLS hands over another socket than the one that arrived. */
export class Waiting {
  readonly #places = new Map<string, WaitingPlace>()
  readonly #byClient = new Map<string, number>()
  readonly #bounds: WaitingBounds

  constructor(bounds: WaitingBounds) {
    this.#bounds = bounds
  }

  /** Gives a connection its place, until it is settled or closed. Where there is none, it is dropped. */
  arrive(socket: Socket): void {
    const client = plainAddress(socket.remoteAddress)
    const leave = this.#places.size >= (this.#bounds.maxWaiting ?? Infinity) ? undefined : this.enter(client)
    if (!leave) return void socket.destroy()
    const key = peerOf(socket)
    const late = new AbortController()
    const settled = () => {
      clearTimeout(timer)
      leave()
      if (this.#places.get(key) === place) this.#places.delete(key)
    }
    const place: WaitingPlace = { signal: late.signal, settled }
    const timer = this.#limit(() => {
      late.abort(new Error('no console in time'))
      socket.destroy()
      settled()
    })
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
