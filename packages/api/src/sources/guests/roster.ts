/** The guests of a source, one for each id, and the reports of their changes. */
import { isDeepStrictEqual } from 'node:util'
import type { ServerChange } from '../source.ts'
import type { Guest } from './guest.ts'

/** The socket of a monitor, or a domain of a connection, by which a guest was found. */
export type Place = string

export interface Found {
  readonly place: Place
  readonly guest: Guest
}

/** A guest that claims the id of another one. */
export interface Twin {
  readonly id: string
  /** The place of the guest that keeps the id. */
  readonly first: Place
  /** The place of the refused guest. */
  readonly second: Place
}

type Listener = (change: ServerChange) => void

/**
 * Guests by place and by id. During a migration an id is in two places, and the guest in charge counts. If two guests run
 * with one id, one of them uses it by mistake or to impersonate the other: the first keeps the id, and the second is
 * refused for as long as the first runs.
 */
export class Roster {
  readonly #byPlace = new Map<Place, Guest>()
  readonly #byId = new Map<string, Map<Place, Guest>>()
  /** The place that each id belongs to. */
  readonly #owners = new Map<string, Place>()
  readonly #refused = new Set<Place>()
  readonly #listeners = new Set<Listener>()
  readonly #onTwin: (twin: Twin) => void

  /** @param onTwin called once for each guest that is refused, for the log */
  constructor(onTwin: (twin: Twin) => void = () => {}) {
    this.#onTwin = onTwin
  }

  /** Sets the guest in a place, or removes it. Reports changes that invalidate tokens. */
  set(place: Place, guest: Guest | undefined): void {
    const before = this.#byPlace.get(place)
    const ids = new Set([before?.server.id, guest?.server.id].filter((id) => id !== undefined))
    const changes = [...ids].map((id) => ({ id, was: this.find(id) }))
    if (before && before.server.id !== guest?.server.id) this.#take(place, before.server.id)
    if (guest) this.#put(place, guest)
    for (const { id, was } of changes) this.#compare(id, was, this.#settle(id))
  }

  get(place: Place): Guest | undefined {
    return this.#byPlace.get(place)
  }

  /** Every place that holds the guest with this id. */
  placesOf(id: string): readonly Place[] {
    return [...(this.#byId.get(id)?.keys() ?? [])]
  }

  find(id: string): Found | undefined {
    const place = this.#owners.get(id)
    return place === undefined ? undefined : { place, guest: this.#byPlace.get(place)! }
  }

  list(): readonly Found[] {
    return [...this.#byId.keys()].map((id) => this.find(id)!)
  }

  /** Reports that the guest in this place has stopped, although it may already run there again. */
  stopped(place: Place): void {
    const id = this.#byPlace.get(place)?.server.id
    if (id !== undefined && this.#owners.get(id) === place) this.#tell({ serverId: id, kind: 'stopped' })
  }

  subscribe(listener: Listener): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) }
  }

  #put(place: Place, guest: Guest): void {
    const { id } = guest.server
    this.#byPlace.set(place, guest)
    this.#byId.set(id, (this.#byId.get(id) ?? new Map()).set(place, guest))
  }

  #take(place: Place, id: string): void {
    this.#byPlace.delete(place)
    this.#refused.delete(place)
    const places = this.#byId.get(id)
    places?.delete(place)
    if (places?.size === 0) this.#byId.delete(id)
  }

  /** Decides which place the id belongs to now, and reports the refused ones. */
  #settle(id: string): Found | undefined {
    const places = [...(this.#byId.get(id) ?? [])].map(([place, guest]) => ({ place, guest }))
    const owner = this.#owners.get(id)
    const highest = Math.max(...places.map(({ guest }) => rank(guest)))
    const best = places.filter(({ guest }) => rank(guest) === highest)
    const chosen = best.find(({ place }) => place === owner) ?? best[0]
    if (chosen) this.#owners.set(id, chosen.place)
    else this.#owners.delete(id)
    for (const each of places) this.#judge(each, chosen!)
    return chosen
  }

  #judge({ place, guest }: Found, first: Found): void {
    if (place === first.place || rank(guest) < RUNS_IN_CHARGE) {
      this.#refused.delete(place)
    } else if (!this.#refused.has(place)) {
      this.#refused.add(place)
      this.#onTwin({ id: guest.server.id, first: first.place, second: place })
    }
  }

  #compare(serverId: string, was: Found | undefined, is: Found | undefined): void {
    if (!was?.guest.live) return
    if (!is) this.#tell({ serverId, kind: 'gone' })
    else if (!is.guest.live) this.#tell({ serverId, kind: 'stopped' })
    else if (hasMoved(was, is)) this.#tell({ serverId, kind: 'moved' })
  }

  #tell(change: ServerChange): void {
    for (const listener of this.#listeners) listener(change)
  }
}

/** Ranks running guests above stopped ones, and then guests in charge above stand-ins. */
const rank = ({ live, standIn }: Guest) => (live ? 2 : 0) + (standIn ? 0 : 1)
const RUNS_IN_CHARGE = 3

/**
 * Whether an address or an owner that was published has changed. Added consoles don't count: no token leads to them yet.
 */
function hasMoved(was: Found, is: Found): boolean {
  if (was.place !== is.place || was.guest.server.projectId !== is.guest.server.projectId) return true
  const known = Object.keys(was.guest.consoles) as (keyof typeof was.guest.consoles)[]
  return known.some((protocol) => !isDeepStrictEqual(was.guest.consoles[protocol], is.guest.consoles[protocol]))
}
