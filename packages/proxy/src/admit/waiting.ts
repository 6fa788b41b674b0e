/** Limits connections that have no console yet, in total and per client. */
import type { Socket } from 'node:net'
import { networkOf } from '@oriel/runtime'
import { endpointsOf } from './proxy-protocol.ts'
import { plainAddress } from './site.ts'

export interface WaitingBounds {
  /** The current limit in total. Beyond it a new connection replaces a waiting one. Default: none. */
  readonly maxWaiting?: () => number
  /** How long until a connection that has sent something may be replaced as well, milliseconds. Default: never. */
  readonly displacedAfterMs?: number
  /** The limit per address; for IPv6 per /64, which is what one customer gets. */
  readonly maxWaitingPerClient: number
  /** How long a connection may wait. Default: no limit, for callers with their own deadlines. */
  readonly handshakeTimeoutMs?: number
  /** Called with the client of a connection that is dropped because its client has too many. Default: no call. */
  readonly onFull?: (client: string) => void
  /** Called with the client of a connection that was replaced. Default: no call. */
  readonly onDisplaced?: (client: string) => void
}

/** A slot for a waiting connection. */
export interface WaitingSlot {
  /** Aborts when the connection has waited too long. */
  readonly signal: AbortSignal
  /** Releases the slot. */
  readonly settled: () => void
}

interface Held extends WaitingSlot {
  readonly client: string
  readonly socket: Socket
  drop(reason: string): void
  /** The bytes read before the connection got its slot, such as a PROXY header. */
  readonly bytesBefore: number
  readonly sinceMs: number
}

/** How many waiting connections are examined for one to replace, the oldest first. */
const LOOKED_AT = 2_048

/** Connections between their first packet and their console, by endpoints: a TLS server emits a different socket object. */
export class Waiting {
  /** The oldest first. */
  readonly #slots = new Map<string, Held>()
  readonly #byClient = new Map<string, number>()
  readonly #bounds: WaitingBounds

  constructor(bounds: WaitingBounds) {
    this.#bounds = bounds
  }

  /**
   * Gives a connection a slot until it is settled or closed. Drops it if its client has too many. If all slots are taken,
   * replaces the oldest connection that has sent nothing, and drops the new one only if none can be replaced: silent
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
    const key = endpointsOf(socket)
    const late = new AbortController()
    const settled = () => {
      clearTimeout(timer)
      // A console may be open for days: without its listener, nothing of the slot stays in memory.
      socket.off('close', settled)
      leave()
      if (this.#slots.get(key) === slot) this.#slots.delete(key)
    }
    const drop = (reason: string) => {
      late.abort(new Error(reason))
      socket.destroy()
      settled()
    }
    const { bytesRead: bytesBefore } = socket
    const slot: Held = {
      ...{ signal: late.signal, settled, drop, client, socket, bytesBefore },
      sinceMs: performance.now(),
    }
    const timer = this.#limit(() => drop('no console in time'))
    this.#slots.set(key, slot)
    socket.on('close', settled)
  }

  slotOf(socket: Socket): WaitingSlot | undefined {
    return this.#slots.get(endpointsOf(socket))
  }

  /** Counts a connection of `client` until the returned function is called. Returns `undefined` if it has too many. */
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

  /** Frees a slot by dropping another connection if necessary. Returns whether there is one. */
  #makeRoom(): boolean {
    const { maxWaiting, displacedAfterMs = Infinity, onDisplaced } = this.#bounds
    if (!maxWaiting || this.#slots.size < maxWaiting()) return true
    const displaced = this.#displaceable(performance.now() - displacedAfterMs)
    displaced?.drop('displaced by a newcomer')
    if (displaced) onDisplaced?.(displaced.client)
    return displaced !== undefined
  }

  /** The oldest that has sent nothing, else the oldest that arrived before `lateMs`. */
  #displaceable(lateMs: number): Held | undefined {
    let late: Held | undefined
    let looked = 0
    for (const slot of this.#slots.values()) {
      if (isSilent(slot)) return slot
      if (slot.sinceMs <= lateMs) late ??= slot
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
