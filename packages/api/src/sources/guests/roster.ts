/** The guests of a source, one for each id, and the reports of their changes. */
import { isDeepStrictEqual } from 'node:util'
import type { Protocol } from '@oriel/contract'
import { isSwitchedOff, type Server } from '../server.ts'
import type { SerialPort, ServerChange } from '../source.ts'
import type { Found, Guest, GuestLocation } from './guest.ts'
import { isNextRun, Restarts, type Stop } from './restarts.ts'

/** A guest that claims the id of another one. */
export interface Twin {
  readonly id: string
  /** The location of the guest that keeps the id. */
  readonly first: GuestLocation
  /** The location of the refused guest. */
  readonly second: GuestLocation
}

export interface RosterOptions {
  /** Called once for each guest that is refused, for the log. */
  readonly onTwin?: (twin: Twin) => void
  /** How long the report of a stop waits for a restart, in milliseconds. Default: 0, it is reported at once. */
  readonly restartMs?: number
}

type Listener = (change: ServerChange) => void

/** The oldest are forgotten first. */
const MAX_SWITCHED_OFF = 10_000

/**
 * Guests by location and by id. During a migration an id is in two locations, and the guest in charge counts. If two guests run
 * with one id, one of them uses it by mistake or to impersonate the other: the first keeps the id, and the second is
 * refused for as long as the first runs.
 *
 * A guest that stops and soon runs again, with the same id, name, owner and addresses, has restarted: this is no change.
 */
export class Roster implements Disposable {
  readonly #byLocation = new Map<GuestLocation, Guest>()
  readonly #byId = new Map<string, Map<GuestLocation, Guest>>()
  /** The location that each id belongs to. */
  readonly #owners = new Map<string, GuestLocation>()
  readonly #refused = new Set<GuestLocation>()
  /** Guests without a location whose process has ended, by id. */
  readonly #switchedOff = new Map<string, Server>()
  readonly #listeners = new Set<Listener>()
  readonly #portListeners = new Set<() => void>()
  readonly #onTwin: (twin: Twin) => void
  readonly #restarts: Restarts

  constructor({ onTwin = () => {}, restartMs = 0 }: RosterOptions = {}) {
    this.#onTwin = onTwin
    this.#restarts = new Restarts({
      restartMs,
      onStop: (serverId, kind) => this.#notify({ serverId, kind }),
      onGivenUp: () => this.#notifyPorts(),
    })
  }

  /** Sets the guest in a location, or removes it. Reports changes that invalidate tokens. */
  set(location: GuestLocation, guest: Guest | undefined): void {
    const before = this.#byLocation.get(location)
    const ids = new Set([before?.server.id, guest?.server.id].filter((id) => id !== undefined))
    const changes = [...ids].map((id) => ({ id, was: this.find(id) }))
    if (before && before.server.id !== guest?.server.id) this.#take(location, before.server.id)
    if (guest) this.#put(location, guest)
    for (const { id, was } of changes) this.#compare(id, was, this.#settle(id))
    if (guest?.live) this.#restarts.taken(guest)
    if (!isSamePort(before, guest)) this.#notifyPorts()
  }

  get(location: GuestLocation): Guest | undefined {
    return this.#byLocation.get(location)
  }

  /** Every location that holds the guest with this id. */
  locationsOf(id: string): readonly GuestLocation[] {
    return [...(this.#byId.get(id)?.keys() ?? [])]
  }

  find(id: string): Found | undefined {
    const location = this.#owners.get(id)
    return location === undefined ? undefined : { location, guest: this.#byLocation.get(location)! }
  }

  list(): readonly Found[] {
    return [...this.#byId.keys()].map((id) => this.find(id)!)
  }

  /** The protocols of a running guest's consoles. `undefined`: the guest does not run, or is unknown. */
  protocols(id: string): readonly Protocol[] | undefined {
    const guest = this.find(id)?.guest
    return guest?.live ? (Object.keys(guest.consoles) as Protocol[]) : undefined
  }

  /** Notes that the guest in this location has stopped, although it may already run there again. */
  stopped(location: GuestLocation): void {
    const guest = this.#byLocation.get(location)
    if (!guest || this.#owners.get(guest.server.id) !== location) return
    this.#beginRestart(guest.server.id, { kind: 'stopped', was: { location, guest }, isOff: false })
  }

  /** Removes the guest in this location because its process has ended. It counts as switched off until it runs again. */
  switchOff(location: GuestLocation): void {
    const guest = this.#byLocation.get(location)
    // First, because listeners ask for it.
    if (guest && !guest.standIn && this.#owners.get(guest.server.id) === location) this.#noteSwitchedOff(guest.server)
    this.set(location, undefined)
    if (guest && this.find(guest.server.id)) this.#switchedOff.delete(guest.server.id)
  }

  #noteSwitchedOff(server: Server): void {
    this.#switchedOff.set(server.id, server)
    const [oldest] = this.#switchedOff.keys()
    if (this.#switchedOff.size > MAX_SWITCHED_OFF) this.#switchedOff.delete(oldest!)
  }

  /** The server with this id, if its guest is switched off, although it may be about to run again. */
  switchedOff(id: string): Server | undefined {
    const guest = this.find(id)?.guest
    if (!guest) return this.#switchedOff.get(id)
    return !guest.live && !guest.standIn && isSwitchedOff(guest.server.vmState) ? guest.server : undefined
  }

  /** Whether the guest with this id has stopped and the report is delayed, in case it restarts. */
  mayRestart(id: string): boolean {
    return this.#restarts.get(id) !== undefined
  }

  subscribe(listener: Listener): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  /** The serial consoles of the guests that run, or may be about to run again. */
  serialPorts(): readonly SerialPort[] {
    const stopped = this.#restarts.list().map(({ was }) => was)
    const running = this.list().filter(({ guest }) => !this.mayRestart(guest.server.id))
    return [...running, ...stopped].flatMap(({ guest }) => portOf(guest) ?? [])
  }

  onSerialPorts(listener: () => void): Disposable {
    this.#portListeners.add(listener)
    return { [Symbol.dispose]: () => this.#portListeners.delete(listener) }
  }

  /** Drops the stops that are not reported yet. */
  [Symbol.dispose](): void {
    this.#restarts[Symbol.dispose]()
  }

  #put(location: GuestLocation, guest: Guest): void {
    const { id } = guest.server
    this.#switchedOff.delete(id)
    this.#byLocation.set(location, guest)
    this.#byId.set(id, (this.#byId.get(id) ?? new Map()).set(location, guest))
  }

  #take(location: GuestLocation, id: string): void {
    this.#byLocation.delete(location)
    this.#refused.delete(location)
    const locations = this.#byId.get(id)
    locations?.delete(location)
    if (locations?.size === 0) this.#byId.delete(id)
  }

  /** Decides which location the id belongs to now, and reports the refused ones. */
  #settle(id: string): Found | undefined {
    const locations = [...(this.#byId.get(id) ?? [])].map(([location, guest]) => ({ location, guest }))
    const owner = this.#owners.get(id)
    const highest = Math.max(...locations.map(({ guest }) => rank(guest)))
    const best = locations.filter(({ guest }) => rank(guest) === highest)
    const chosen = best.find(({ location }) => location === owner) ?? best[0]
    if (chosen) this.#owners.set(id, chosen.location)
    else this.#owners.delete(id)
    for (const each of locations) this.#judge(each, chosen!)
    return chosen
  }

  #judge({ location, guest }: Found, first: Found): void {
    if (location === first.location || rank(guest) < RUNS_IN_CHARGE) {
      this.#refused.delete(location)
    } else if (!this.#refused.has(location)) {
      this.#refused.add(location)
      this.#onTwin({ id: guest.server.id, first: first.location, second: location })
    }
  }

  #compare(serverId: string, was: Found | undefined, is: Found | undefined): void {
    const stop = this.#restarts.get(serverId)
    if (stop) this.#compareStopped(serverId, stop, is)
    else if (!was?.guest.live) return
    else if (!is?.guest.live) this.#beginRestart(serverId, { kind: is ? 'stopped' : 'gone', was, isOff: true })
    else if (!isSameOwner(was, is)) this.#notify({ serverId, kind: 'reassigned' })
    else if (was.location !== is.location || hasOtherAddress(was, is)) this.#notify({ serverId, kind: 'moved' })
  }

  #beginRestart(serverId: string, stop: Stop): void {
    this.#restarts.begin(serverId, stop)
    for (const guest of this.#byLocation.values()) if (guest.live) this.#restarts.taken(guest)
  }

  #compareStopped(serverId: string, stop: Stop, is: Found | undefined): void {
    const { was } = stop
    if (!is?.guest.live) this.#restarts.isOff(serverId)
    else if (!isSameOwner(was, is)) this.#endWith({ serverId, kind: 'reassigned' })
    else if (was.guest.server.name !== is.guest.server.name) this.#restarts.giveUp(serverId)
    else if (!isNextRun(stop, is)) return
    else if (hasOtherAddress(was, is)) this.#endWith({ serverId, kind: 'moved' })
    else this.#restarts.end(serverId)
  }

  #endWith(change: ServerChange): void {
    this.#restarts.end(change.serverId)
    this.#notify(change)
  }

  #notify(change: ServerChange): void {
    for (const listener of this.#listeners) listener(change)
  }

  #notifyPorts(): void {
    for (const listener of this.#portListeners) listener()
  }
}

/** Ranks running guests above stopped ones, and then guests in charge above stand-ins. */
const rank = ({ live, standIn }: Guest) => (live ? 2 : 0) + (standIn ? 0 : 1)
const RUNS_IN_CHARGE = 3

const isSameOwner = (was: Found, is: Found) => was.guest.server.projectId === is.guest.server.projectId

/** Whether an address that was published has changed. Added consoles don't count: no token leads to them yet. */
function hasOtherAddress(was: Found, is: Found): boolean {
  const known = Object.keys(was.guest.consoles) as (keyof typeof was.guest.consoles)[]
  return known.some((protocol) => !isDeepStrictEqual(was.guest.consoles[protocol], is.guest.consoles[protocol]))
}

function portOf({ server, live, standIn, consoles }: Guest): SerialPort | undefined {
  const address = live && !standIn ? consoles.serial : undefined
  return address && { server, address }
}

function isSamePort(before: Guest | undefined, after: Guest | undefined): boolean {
  const [was, is] = [before && portOf(before), after && portOf(after)]
  if (!was || !is) return was === is
  const { id, projectId, name } = is.server
  const isSameServer = was.server.id === id && was.server.projectId === projectId && was.server.name === name
  return isSameServer && isDeepStrictEqual(was.address, is.address)
}
