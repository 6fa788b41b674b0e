/** Every guest that a source knows of, one for each id, and what happens to them. */
import { isDeepStrictEqual } from 'node:util'
import type { ServerChange } from '../source.ts'
import type { Guest } from './guest.ts'

/** Where a guest was found: a monitor's socket, or a domain of a connection. */
export type Place = string

export interface Found {
  readonly place: Place
  readonly guest: Guest
}

type Listener = (change: ServerChange) => void

/** One id may be in two places, as in the middle of a migration: then the one in charge counts. */
export class Roster {
  readonly #byPlace = new Map<Place, Guest>()
  readonly #byId = new Map<string, Map<Place, Guest>>()
  readonly #listeners = new Set<Listener>()

  /** What is now in a place; `undefined`: nothing any more. Tells what that changes for those who hold tokens. */
  set(place: Place, guest: Guest | undefined): void {
    const before = this.#byPlace.get(place)
    const ids = new Set([before?.server.id, guest?.server.id].filter((id) => id !== undefined))
    const changes = [...ids].map((id) => ({ id, was: this.find(id) }))
    if (before) this.#take(place, before.server.id)
    if (guest) this.#put(place, guest)
    for (const { id, was } of changes) this.#compare(id, was, this.find(id))
  }

  get(place: Place): Guest | undefined {
    return this.#byPlace.get(place)
  }

  /** Every place that holds the guest with this id. */
  placesOf(id: string): readonly Place[] {
    return [...(this.#byId.get(id)?.keys() ?? [])]
  }

  find(id: string): Found | undefined {
    let best: Found | undefined
    for (const [place, guest] of this.#byId.get(id) ?? []) {
      if (!best || rank(guest) > rank(best.guest)) best = { place, guest }
    }
    return best
  }

  list(): readonly Found[] {
    return [...this.#byId.keys()].map((id) => this.find(id)!)
  }

  /** Tells that a guest has stopped, although its place may hold it again already. */
  stopped(serverId: string): void {
    this.#tell({ serverId, kind: 'stopped' })
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
    const places = this.#byId.get(id)
    places?.delete(place)
    if (places?.size === 0) this.#byId.delete(id)
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

/** In charge before standing in, running before off, and then whichever was found first. */
const rank = ({ live, standIn }: Guest) => (live ? 2 : 0) + (standIn ? 0 : 1)

/** Whether somebody who was told an address, or an owner, was told what is no longer so. A new console harms nobody. */
function hasMoved(was: Found, is: Found): boolean {
  if (was.place !== is.place || was.guest.server.projectId !== is.guest.server.projectId) return true
  const known = Object.keys(was.guest.consoles) as (keyof typeof was.guest.consoles)[]
  return known.some((protocol) => !isDeepStrictEqual(was.guest.consoles[protocol], is.guest.consoles[protocol]))
}
