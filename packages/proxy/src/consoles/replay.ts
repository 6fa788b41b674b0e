/**
 * Keeps the last output of serial ports, and sends it to clients that open a console again. Keeps it in the memory of this
 * process, while a session of the port is open and for a configured time afterwards. A client receives the output of a port
 * only if its token was admitted for that port.
 */
import { type HypervisorSocket, observeLeg } from '../hypervisor/leg.ts'

export interface ReplaySettings {
  /** The bytes kept for each port; 0 disables replay. */
  readonly maxBytes: number
  /** How long the output is kept after the last session of the port. */
  readonly keepMs: number
  /** The maximum number of ports. Beyond it, the output of the oldest port without a session is dropped. Default: 1000. */
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

  /** The number of ports whose output is kept now. */
  get size(): number {
    return this.#ports.size
  }

  /** Adds a session to the port with this id, until `hypervisor` closes. */
  join(portId: string, hypervisor: HypervisorSocket): Joined {
    const port = this.#ports.get(portId) ?? this.#open(portId)
    if (port === undefined) return { earlier: Buffer.alloc(0), hypervisor }
    const session = port.enter()
    hypervisor.closed.then(() => port.leave(session, () => this.#forget(portId, port)))
    return { earlier: port.bytes(), hypervisor: observeLeg(hypervisor, (bytes) => port.record(session, bytes)) }
  }

  /** Returns `undefined` if every port has a session and no further one can be kept. */
  #open(portId: string): PortOutput | undefined {
    if (this.#ports.size >= (this.#settings.maxPorts ?? MAX_PORTS)) this.#forgetOldestIdle()
    if (this.#ports.size >= (this.#settings.maxPorts ?? MAX_PORTS)) return undefined
    const port = new PortOutput(this.#settings)
    this.#ports.set(portId, port)
    return port
  }

  #forgetOldestIdle(): void {
    const idle = [...this.#ports].find(([, port]) => port.idle)
    if (idle) this.#forget(...idle)
  }

  #forget(portId: string, port: PortOutput): void {
    port.drop()
    if (this.#ports.get(portId) === port) this.#ports.delete(portId)
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
    // The timer must not delay the exit of the process.
    this.#timer.unref()
  }

  /** Records the first session only: all sessions of a port receive the same output. */
  record(session: symbol, bytes: Buffer): void {
    const [first] = this.#sessions
    if (session !== first) return
    this.#pieces.push(Buffer.from(bytes))
    this.#length += bytes.length
    // Compact only at twice the limit, so that the cost per byte stays constant for pieces of any size.
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
    // A copy, so that the bytes before it are freed.
    this.#pieces = [Buffer.from(all.subarray(Math.max(0, all.length - this.#settings.maxBytes)))]
    this.#length = this.#pieces[0]!.length
  }
}

const MAX_PIECES = 1024
