/**
 * The last output of serial ports, so that somebody who opens a console again sees what stood on it. It is kept in this
 * process alone, while a session of that port is open and for a while after; nobody is shown the output of a port for
 * which their own token was not admitted.
 */
import { type HypervisorSocket, legLike } from '../hypervisor/tcp-leg.ts'

export interface ReplaySettings {
  /** Output kept of each port; 0: none. */
  readonly maxBytes: number
  /** How long it is kept after the last session of the port. */
  readonly keepMs: number
  /** Ports whose output is kept at most; beyond it, what nobody has open is forgotten first. Default: 1000. */
  readonly maxPorts?: number
}

export interface Joined {
  /** What the port put out lately, from a line's beginning where something was cut off. */
  readonly earlier: Buffer
  /** The leg, with its output kept on the way. */
  readonly hypervisor: HypervisorSocket
}

const MAX_PORTS = 1000

export class Replays {
  readonly #settings: ReplaySettings
  readonly #ports = new Map<string, PortOutput>()

  constructor(settings: ReplaySettings) {
    this.#settings = settings
  }

  /** How many ports' output is held at the moment. */
  get size(): number {
    return this.#ports.size
  }

  /** Opens one more session of the port that is called `place`; it counts as open until `hypervisor` ends. */
  join(place: string, hypervisor: HypervisorSocket): Joined {
    const port = this.#ports.get(place) ?? this.#open(place)
    if (port === undefined) return { earlier: Buffer.alloc(0), hypervisor }
    const session = port.enter()
    hypervisor.ended.then(() => port.leave(session, () => this.#forget(place, port)))
    return { earlier: port.bytes(), hypervisor: tapped(hypervisor, (bytes) => port.record(session, bytes)) }
  }

  #open(place: string): PortOutput | undefined {
    if (this.#ports.size >= (this.#settings.maxPorts ?? MAX_PORTS)) this.#forgetOldestIdle()
    if (this.#ports.size >= (this.#settings.maxPorts ?? MAX_PORTS)) return undefined
    const port = new PortOutput(this.#settings)
    this.#ports.set(place, port)
    return port
  }

  #forgetOldestIdle(): void {
    const idle = [...this.#ports].find(([, port]) => port.idle)
    if (idle) this.#forget(...idle)
  }

  #forget(place: string, port: PortOutput): void {
    port.drop()
    if (this.#ports.get(place) === port) this.#ports.delete(place)
  }
}

/** The output of one port and the sessions that have it open. */
class PortOutput {
  readonly #settings: ReplaySettings
  readonly #sessions = new Set<symbol>()
  #pieces: Buffer[] = []
  #length = 0
  #cut = false
  #timer: NodeJS.Timeout | undefined

  constructor(settings: ReplaySettings) {
    this.#settings = settings
  }

  get idle(): boolean {
    return this.#sessions.size === 0
  }

  enter(): symbol {
    clearTimeout(this.#timer)
    const session = Symbol('session')
    this.#sessions.add(session)
    return session
  }

  leave(session: symbol, forget: () => void): void {
    this.#sessions.delete(session)
    if (!this.idle) return
    this.#timer = setTimeout(forget, this.#settings.keepMs)
    // Output that is kept must not keep the process.
    this.#timer.unref()
  }

  /** Where a port serves several sessions at once, each hears the same; it is kept once. */
  record(session: symbol, bytes: Buffer): void {
    const [first] = this.#sessions
    if (session !== first) return
    this.#pieces.push(Buffer.from(bytes))
    this.#length += bytes.length
    // Twice as much before it is cut, so that cutting costs little however small the pieces are.
    if (this.#length > 2 * this.#settings.maxBytes || this.#pieces.length > MAX_PIECES) this.#compact()
  }

  bytes(): Buffer {
    this.#compact()
    const [all = Buffer.alloc(0)] = this.#pieces
    const lineEnd = this.#cut ? all.indexOf('\n') : -1
    return Buffer.from(all.subarray(lineEnd + 1))
  }

  drop(): void {
    clearTimeout(this.#timer)
    this.#pieces = []
    this.#length = 0
  }

  #compact(): void {
    const all = Buffer.concat(this.#pieces)
    this.#cut ||= all.length > this.#settings.maxBytes
    // A copy, so that what was cut off is freed.
    this.#pieces = [Buffer.from(all.subarray(Math.max(0, all.length - this.#settings.maxBytes)))]
    this.#length = this.#pieces[0]!.length
  }
}

const MAX_PIECES = 1024

/** The same leg; `tap` sees what it brings before whoever takes it. */
function tapped(hypervisor: HypervisorSocket, tap: (bytes: Buffer) => void): HypervisorSocket {
  return legLike(hypervisor, {
    take: (taker) =>
      hypervisor.take((bytes) => {
        tap(bytes)
        return taker(bytes)
      }),
  })
}
