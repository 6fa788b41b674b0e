/** Guests that have stopped and may be about to run again: the report of their stop waits for as long as a restart takes. */
import type { ServerChange } from '../source.ts'
import type { Found, Guest } from './guest.ts'

export type StopKind = Extract<ServerChange['kind'], 'stopped' | 'gone'>

export interface Stop {
  readonly kind: StopKind
  /** The guest when it was last known to run. */
  readonly was: Found
  /** Whether the source has seen that the guest is off. Otherwise it only got an event, and its next look may be outdated. */
  readonly isOff: boolean
}

export interface RestartsOptions {
  /** How long a restart may take, in milliseconds. 0: every stop is reported at once. */
  readonly restartMs: number
  /** Called when a stop turns out to be no restart. */
  readonly onStop: (serverId: string, kind: StopKind) => void
  /** Called after `onStop` when the wait for a server has ended without a restart. */
  readonly onGivenUp: () => void
}

export class Restarts implements Disposable {
  readonly #options: RestartsOptions
  readonly #stops = new Map<string, Stop & { readonly timer: NodeJS.Timeout }>()

  constructor(options: RestartsOptions) {
    this.#options = options
  }

  get(serverId: string): Stop | undefined {
    return this.#stops.get(serverId)
  }

  list(): readonly Stop[] {
    return [...this.#stops.values()]
  }

  /** Begins to wait for a restart, unless the server is waited for already. */
  begin(serverId: string, stop: Stop): void {
    const { restartMs, onStop } = this.#options
    if (restartMs === 0) onStop(serverId, stop.kind)
    else if (!this.#stops.has(serverId)) {
      const timer = setTimeout(() => this.giveUp(serverId), restartMs).unref()
      this.#stops.set(serverId, { ...stop, timer })
    }
  }

  /** Notes that the source has seen the guest off. */
  isOff(serverId: string): void {
    const stop = this.#stops.get(serverId)
    if (stop) this.#stops.set(serverId, { ...stop, isOff: true })
  }

  /** Ends the wait because the server runs again. */
  end(serverId: string): void {
    clearTimeout(this.#stops.get(serverId)?.timer)
    this.#stops.delete(serverId)
  }

  /** Ends the wait and reports the stop. */
  giveUp(serverId: string): void {
    const stop = this.#stops.get(serverId)
    if (!stop) return
    this.end(serverId)
    this.#options.onStop(serverId, stop.kind)
    this.#options.onGivenUp()
  }

  /** Reports the stop of every other server that is waited for and whose address this running guest has now. */
  taken(by: Guest): void {
    const addresses = endpointsOf(by)
    for (const [serverId, { was }] of this.#stops) {
      const isTaken = endpointsOf(was.guest).some((endpoint) => addresses.includes(endpoint))
      if (serverId !== by.server.id && isTaken) this.giveUp(serverId)
    }
  }

  [Symbol.dispose](): void {
    for (const serverId of this.#stops.keys()) this.end(serverId)
  }
}

/** Whether this is the next run of the guest that has stopped, or of one with its id. */
export function isNextRun({ was, isOff }: Stop, { location, guest }: Found): boolean {
  if (!guest.live || guest.standIn) return false
  return isOff || location !== was.location || guest.run !== was.guest.run
}

/**
 * The ports and sockets of a guest's consoles. Two guests of one hypervisor cannot share a port, whatever addresses they
 * listen on, so the port alone counts.
 */
function endpointsOf({ server, consoles }: Guest): readonly string[] {
  return Object.values(consoles).flatMap(({ host, port, tlsPort }) =>
    [host.startsWith('unix:') ? host : port, tlsPort]
      .filter((end) => end !== null && end !== undefined)
      .map((end) => `${server.host} ${end}`),
  )
}
