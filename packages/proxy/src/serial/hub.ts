/**
 * Shares serial ports. QEMU and libvirt serve one connection of a port, and a second one would wait in silence. So the first
 * session of a port dials, and later ones read along: they receive the last output and then the live one. The output stays
 * in the memory of this process, while a session of the port is open and for a configured time afterwards. A client
 * receives the output of a port only if its token was admitted for that port.
 */
import { noPeers, type SerialPeers } from './peers.ts'
import { FORWARDING, type Reader } from './reader.ts'
import { Ring } from './ring.ts'
import { type Destination, type OpenedPort, type OpenUpstream, Upstream, type UpstreamPort } from './upstream.ts'

export interface ReplaySettings {
  /** The output of each port that a later session receives, in bytes; 0: none. */
  readonly maxBytes: number
  /** How long the output is kept after the last session of the port. */
  readonly keepMs: number
  /** The maximum number of ports with a replay. Beyond it, the oldest port without a session is forgotten. Default: 1000. */
  readonly maxPorts?: number
}

/** A session that opens a port. */
export interface Joining {
  /** Identifies the port: equal for sessions that may share it, and for no others. */
  readonly portId: string
  /** Whether the session receives earlier output. */
  readonly replay: boolean
  /** Called if the port is not open yet. */
  readonly open: OpenUpstream
  readonly signal: AbortSignal
  /** The session, as the authority knows it. Absent: the proxy itself stays attached to the port. */
  readonly sessionId?: string | undefined
  /** Follows the machine. The port keeps that of its first session which has one. Default: the port ends with its connection. */
  readonly finder?: PortFinder | undefined
}

/** Finds the machine of a port, again and again. */
export interface PortFinder {
  /** Resolves with the place of the port, or `off` or `undefined` as `UpstreamPort.find` does. Never rejects. */
  find(sessionId: string): Promise<PortPlace | 'off' | undefined>
}

export interface PortPlace extends Pick<Destination, 'open' | 'admits' | 'reached'> {
  /** Identifies the port there. */
  readonly portId: string
}

const MAX_PORTS = 1000
/** What a reader that pauses for a moment can be behind without a loss, even if nothing is replayed. */
const MIN_RING_BYTES = 4096
const NOTHING = Buffer.alloc(0)

export class SerialHub {
  readonly #settings: ReplaySettings
  readonly #peers: SerialPeers
  readonly #ports = new Map<string, Port>()
  /** One for all ports, of which there may be many. */
  readonly #forPorts: PortEvents = {
    closed: (port) => this.#peers.release(port.id),
    forgotten: (port) => this.#forget(port.id, port),
    destinationOf: (port, place) => this.#destinationOf(port, place),
  }

  /** @param peers other processes of this proxy. Default: there are none */
  constructor(settings: ReplaySettings, peers: SerialPeers = noPeers) {
    this.#settings = settings
    this.#peers = peers
    peers.serve((portId, signal, since) => this.#ports.get(portId)?.joinOpen(signal, since))
  }

  /** The number of ports that are open, or whose output is kept. */
  get size(): number {
    return this.#ports.size
  }

  /** @throws the error of `open`; the signal's reason once it aborts */
  join(joining: Joining): Promise<Reader> {
    const { portId } = joining
    const port = this.#ports.get(portId) ?? this.#add(portId)
    return port.join(joining, (dialling) => this.#peers.open(portId, joining.open, dialling))
  }

  /** Returns the last output of a port, up to `maxBytes`; `undefined` if the port is not known. */
  output(portId: string, maxBytes: number): Buffer | undefined {
    return this.#ports.get(portId)?.output(maxBytes)
  }

  /** Forgets the output of a port. Sessions that have it open keep it, and later ones open it anew. */
  forget(portId: string): void {
    const port = this.#ports.get(portId)
    if (!port) return
    // Elsewhere, too, later sessions must not read along.
    port.stays = true
    this.#forget(portId, port)
  }

  #add(portId: string): Port {
    const { maxBytes, keepMs, maxPorts = MAX_PORTS } = this.#settings
    if (this.#ports.size >= maxPorts) this.#forgetOldestIdle()
    const replayBytes = this.#ports.size < maxPorts ? maxBytes : 0
    const port = new Port(this.#forPorts, portId, replayBytes, keepMs)
    this.#ports.set(portId, port)
    return port
  }

  #destinationOf(port: Port, place: PortPlace | 'off' | undefined): Destination | 'off' | undefined {
    if (place === 'off') return place
    if (!place || port.stays) return undefined
    return {
      ...place,
      isPresent: () => place.portId === port.id,
      open: (...opening) => this.#move(port, place, ...opening),
    }
  }

  /**
   * Opens a port where its machine is now. From then on it has the id of that place, so that other processes and later sessions
   * join it. If sessions have opened the port there already, it reads along through that one.
   */
  #move(
    port: Port,
    { portId, open }: PortPlace,
    ...[session, signal]: Parameters<Destination['open']>
  ): Promise<OpenedPort> {
    const there = this.#ports.get(portId)
    this.#forget(port.id, port)
    port.id = portId
    port.isReadingAlong = there !== undefined && !there.idle && there !== port
    if (there && port.isReadingAlong) return there.readAlong(signal)
    there?.stopTimer()
    this.#ports.set(portId, port)
    return this.#peers.open(portId, (dialling) => open(session, dialling), signal, 'opening')
  }

  #forgetOldestIdle(): void {
    const idle = [...this.#ports].find(([, port]) => port.idle)
    if (idle) this.#forget(...idle)
  }

  #forget(portId: string, port: Port): void {
    port.stopTimer()
    if (this.#ports.get(portId) === port) this.#ports.delete(portId)
  }
}

interface PortEvents {
  /** Called when the connection has ended, or could not be opened. */
  closed(port: Port): void
  /** Called when the output is not kept any longer. */
  forgotten(port: Port): void
  destinationOf(port: Port, place: PortPlace | 'off' | undefined): Destination | 'off' | undefined
}

/** A port's output, and its connection while a session needs it. */
class Port implements UpstreamPort {
  /** Identifies the place of the machine. */
  id: string
  /** Whether the port ends with its connection, wherever its machine moves to. */
  stays = false
  /** Whether another port of this process has the connection, and the id. */
  isReadingAlong = false
  readonly #replayBytes: number
  readonly #keepMs: number
  readonly #on: PortEvents
  readonly #ring: Ring
  #finder: PortFinder | undefined
  #upstream: Upstream | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(on: PortEvents, id: string, replayBytes: number, keepMs: number) {
    this.id = id
    this.#replayBytes = replayBytes
    this.#keepMs = keepMs
    this.#on = on
    this.#ring = new Ring(Math.max(replayBytes, MIN_RING_BYTES))
  }

  get idle(): boolean {
    return this.#upstream === undefined
  }

  get canMove(): boolean {
    return this.#finder !== undefined
  }

  async find(sessionId: string): Promise<Destination | 'off' | undefined> {
    return this.#on.destinationOf(this, await this.#finder?.find(sessionId))
  }

  join({ replay, signal, sessionId, finder }: Joining, open: OpenUpstream): Promise<Reader> {
    this.stopTimer()
    this.#finder ??= finder
    this.#upstream ??= new Upstream(this.#ring, open, this)
    return this.#upstream.join(replay ? this.#replayBytes : 0, signal, sessionId)
  }

  /** Joins for another process, which receives everything that this one replays, or everything since the port was dialled. */
  joinOpen(signal: AbortSignal, since?: 'opening'): Promise<Reader> | undefined {
    return since === 'opening'
      ? this.#upstream?.joinSinceOpening(signal)
      : this.#upstream?.join(this.#replayBytes, signal, FORWARDING)
  }

  /** Joins for another port, whose machine has moved to this one. */
  async readAlong(signal: AbortSignal): Promise<OpenedPort> {
    const reader = await this.#upstream!.joinSinceOpening(signal)
    return { hypervisor: reader, rest: NOTHING, earlier: reader.takeEarlier(), isMarked: reader.isMarked }
  }

  output(maxBytes: number): Buffer {
    return this.#ring.copy(this.#ring.lastLines(maxBytes), NOTHING)
  }

  stopTimer(): void {
    clearTimeout(this.#timer)
  }

  lost(): void {
    if (!this.isReadingAlong) this.#on.closed(this)
  }

  over(): void {
    this.#upstream = undefined
    this.#finder = undefined
    this.lost()
    if (this.#replayBytes === 0 || this.#ring.end === 0) {
      this.#on.forgotten(this)
      return
    }
    this.#timer = setTimeout(() => this.#on.forgotten(this), this.#keepMs)
    // The timer must not delay the exit of the process.
    this.#timer.unref()
  }
}
