/**
 * Keeps the last output of serial ports, so that a client that opens a console again sees it. The output stays in this
 * process, while a session of the port is open and for a configured time after. A client sees the output of a port only if
 * its token was admitted for that port.
 */
import { type HypervisorSocket, observeLeg } from '../hypervisor/leg.ts'

export interface ReplaySettings {
  /** The bytes kept for each port; 0 disables replay. */
  readonly maxBytes: number
  /** How long it is kept after the last session of the port. */
  readonly keepMs: number
  /** The most ports whose output is kept. Beyond it, the oldest port without a session is dropped. Default: 1000. */
  readonly maxPorts?: number
}

export interface Joined {
  /** The port's last output. It starts at the beginning of a line if older output was cut off. */
  readonly earlier: Buffer
  /** The leg, decorated to record its output. */
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
    return { earlier: port.bytes(), hypervisor: observeLeg(hypervisor, (bytes) => port.record(session, bytes)) }
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

  /** Records the first session only: all sessions of a port receive the same output. */
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
