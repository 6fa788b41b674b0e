/**
 * Shares serial ports. QEMU and libvirt serve one connection of a port, and a second one would wait in silence. So the first
 * session of a port dials, and later ones read along: they receive the last output and then the live one. The output stays
 * in the memory of this process, while a session of the port is open and for a configured time afterwards. A client
 * receives the output of a port only if its token was admitted for that port.
 */
import { noPeers, type SerialPeers } from './peers.ts'
import type { Reader } from './reader.ts'
import { Ring } from './ring.ts'
import { type OpenUpstream, Upstream } from './upstream.ts'

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
}

const MAX_PORTS = 1000
/** What a reader that pauses for a moment can be behind without a loss, even if nothing is replayed. */
const MIN_RING_BYTES = 4096

export class SerialHub {
  readonly #settings: ReplaySettings
  readonly #peers: SerialPeers
  readonly #ports = new Map<string, Port>()

  /** @param peers other processes of this proxy. Default: there are none */
  constructor(settings: ReplaySettings, peers: SerialPeers = noPeers) {
    this.#settings = settings
    this.#peers = peers
    peers.serve((portId, signal) => this.#ports.get(portId)?.joinOpen(signal))
  }

  /** The number of ports that are open, or whose output is kept. */
  get size(): number {
    return this.#ports.size
  }

  /** @throws the error of `open`; the signal's reason once it aborts */
  join({ portId, replay, open, signal }: Joining): Promise<Reader> {
    const port = this.#ports.get(portId) ?? this.#add(portId)
    return port.join(replay, (dialling) => this.#peers.open(portId, open, dialling), signal)
  }

  /** Forgets the output of a port. Sessions that have it open keep it, and later ones open it anew. */
  forget(portId: string): void {
    const port = this.#ports.get(portId)
    if (port) this.#forget(portId, port)
  }

  #add(portId: string): Port {
    const { maxBytes, keepMs, maxPorts = MAX_PORTS } = this.#settings
    if (this.#ports.size >= maxPorts) this.#forgetOldestIdle()
    const replayBytes = this.#ports.size < maxPorts ? maxBytes : 0
    const port = new Port(replayBytes, keepMs, {
      closed: () => this.#peers.release(portId),
      forgotten: () => this.#forget(portId, port),
    })
    this.#ports.set(portId, port)
    return port
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
  readonly closed: () => void
  /** Called when the output is not kept any longer. */
  readonly forgotten: () => void
}

/** A port's output, and its connection while a session needs it. */
class Port {
  readonly #replayBytes: number
  readonly #keepMs: number
  readonly #on: PortEvents
  readonly #ring: Ring
  #upstream: Upstream | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(replayBytes: number, keepMs: number, on: PortEvents) {
    this.#replayBytes = replayBytes
    this.#keepMs = keepMs
    this.#on = on
    this.#ring = new Ring(Math.max(replayBytes, MIN_RING_BYTES))
  }

  get idle(): boolean {
    return this.#upstream === undefined
  }

  join(replay: boolean, open: OpenUpstream, signal: AbortSignal): Promise<Reader> {
    this.stopTimer()
    this.#upstream ??= new Upstream(open, this.#ring, () => this.#onOver())
    return this.#upstream.join(replay ? this.#replayBytes : 0, signal)
  }

  /** Joins for another process, which receives everything that this one replays. */
  joinOpen(signal: AbortSignal): Promise<Reader> | undefined {
    return this.#upstream?.join(this.#replayBytes, signal)
  }

  stopTimer(): void {
    clearTimeout(this.#timer)
  }

  #onOver(): void {
    this.#upstream = undefined
    this.#on.closed()
    if (this.#replayBytes === 0 || this.#ring.end === 0) {
      this.#on.forgotten()
      return
    }
    this.#timer = setTimeout(this.#on.forgotten, this.#keepMs)
    // The timer must not delay the exit of the process.
    this.#timer.unref()
  }
}
