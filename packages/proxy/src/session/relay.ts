/**
 * The relay between hypervisor and client: the hot path, and the one place that handles backpressure itself.
 *
 * Console to client: sends the bytes of each read as one binary frame, from the buffer that they were read into. Stops reading
 * while unsent frames occupy the memory that the budget allows, so that a client that does not read costs no more than that.
 * Client to console: writes each frame with one call, and does not read the client while the hypervisor's socket is full.
 */
import type { Writable } from 'node:stream'
import { guardPeer } from '@oriel/runtime'
import type { RawData, WebSocket } from 'ws'
import type { HypervisorSocket } from '../hypervisor/leg.ts'
import { MAX_UNPROVEN_READ_BYTES, PROVING_BYTES } from '../hypervisor/read-buffers.ts'
import { BufferBudget, type Buffering } from './buffer-budget.ts'
import { type Ending, endingOf } from './ending.ts'
import { framed } from './frame.ts'

export interface RelayOptions {
  /** Whether text frames are input too; otherwise they are a `protocol_error`. */
  readonly acceptsText: boolean
  /** How long either side may read nothing while bytes wait for it. */
  readonly stalledAfterMs: number
  /** Limits the memory of unsent bytes over all sessions. Default: no limit. */
  readonly budget?: BufferBudget
  /** The connection below the client's WebSocket, for frames that the relay builds itself. Default: ws builds each frame. */
  readonly stream?: Writable
  /** Called once, when either side ends. */
  readonly end: (ending: Ending) => void
  /** Counts the relayed bytes over all sessions. */
  readonly count?: { toClient(bytes: number): void; toConsole(bytes: number): void }
}

/** The bytes that arrived from each side before the relay began. */
export interface EarlyBytes {
  readonly fromHypervisor: Buffer
  readonly fromClient: Buffer
}

const BINARY = { binary: true, compress: false, fin: true } as const

export class Relay implements Buffering {
  /** Bytes of the console's protocol, without WebSocket framing. */
  bytesToClient = 0
  bytesToConsole = 0
  /** When the client last sent something, on the monotonic clock. */
  lastInputMs = performance.now()
  /** When a blocked client last read something, on the monotonic clock. */
  stalledSinceMs = 0
  /** The bytes that the system has taken for the client. */
  #takenBytes = 0
  readonly #hypervisor: HypervisorSocket
  readonly #client: WebSocket
  readonly #options: RelayOptions
  readonly #budget: BufferBudget
  #outputStall: NodeJS.Timeout | undefined
  #inputStall: NodeJS.Timeout | undefined
  #stopped = false
  /** The bytes that the budget counts for this session. */
  #budgetedBytes = 0
  /** Whether `drop` was called. From then on the budget does not count this session's bytes, even while some are unsent. */
  #dropped = false

  constructor(hypervisor: HypervisorSocket, client: WebSocket, options: RelayOptions) {
    this.#hypervisor = hypervisor
    this.#client = client
    this.#options = options
    this.#budget = options.budget ?? new BufferBudget(Number.MAX_SAFE_INTEGER)
  }

  /** Whether bytes wait for one side. The answer to a ping may then wait behind them. */
  get blocked(): boolean {
    return this.#outputStall !== undefined || this.#inputStall !== undefined
  }

  /** The memory of bytes that wait for the client. */
  get bufferedBytes(): number {
    return this.#hypervisor.lentBytes
  }

  /** Relays until `stop`. */
  start({ fromHypervisor, fromClient }: EarlyBytes): void {
    this.#client.on('message', this.#fromClient)
    this.#hypervisor.onDrain(this.#inputDrained)
    this.#hypervisor.closed.then((cause) => this.#end(endingOf(cause)))
    if (fromClient.length > 0) this.#toConsole(fromClient)
    if (fromHypervisor.length > 0) this.#sendCopy(fromHypervisor)
    this.#hypervisor.take(this.#fromHypervisor)
  }

  /** Stops reading both sides. Bytes that were written before are still sent. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#outputStall)
    clearTimeout(this.#inputStall)
    this.#budget.unblocked(this)
    this.#client.off('message', this.#fromClient)
    this.#hypervisor.pause()
    // Resume a paused client: otherwise its close frame is never read.
    if (this.#client.isPaused) this.#client.resume()
  }

  /** As of {@link HypervisorSocket.machineMoved}. */
  machineMoved(): boolean {
    return this.#hypervisor.machineMoved?.() ?? false
  }

  /** Ends the session because the memory for slow clients is full. */
  drop(): void {
    this.#dropped = true
    this.#budget.bytes -= this.#budgetedBytes
    this.#end({ reason: 'client_stalled', detail: 'sessions.max_buffered_mib is reached', drop: true })
  }

  readonly #fromHypervisor = (bytes: Buffer): boolean => {
    this.bytesToClient += bytes.length
    this.#options.count?.toClient(bytes.length)
    this.#addToBudget(bytes.buffer.byteLength)
    this.#send(bytes)
    if (this.#hypervisor.lentBytes < this.#lentLimit) return true
    this.#blockedOnClient()
    return false
  }

  /** A client that may never have read gets two small reads, and no more until it takes them. */
  get #lentLimit(): number {
    const { lentLimit } = this.#budget
    return this.#takenBytes < PROVING_BYTES ? Math.min(lentLimit, 2 * MAX_UNPROVEN_READ_BYTES) : lentLimit
  }

  #blockedOnClient(): void {
    this.#outputStall ??= this.#stallTimer({ reason: 'client_stalled' })
    this.stalledSinceMs = performance.now()
    this.#budget.blocked(this)
  }

  /** Builds the frame in place if possible: ws would need two writes and several objects for each frame. */
  #send(bytes: Buffer): void {
    const { stream } = this.#options
    // Once the client is closing, leave the bytes to ws: no frame may follow the close frame.
    const frame = stream && this.#client.readyState === this.#client.OPEN ? framed(bytes) : undefined
    if (stream && frame) this.#write(stream, frame, bytes)
    else this.#client.send(bytes, BINARY, () => this.#sent(bytes))
  }

  /** Returns the bytes at once if the system has taken them: the callback comes only after the leg has chosen its next buffer. */
  #write(stream: Writable, frame: Buffer, bytes: Buffer): void {
    let isLent = true
    const sent = () => {
      if (!isLent) return
      isLent = false
      this.#sent(bytes)
    }
    stream.write(frame, sent)
    if (stream.writableLength === 0) sent()
  }

  #sendCopy(bytes: Buffer): void {
    this.bytesToClient += bytes.length
    this.#options.count?.toClient(bytes.length)
    this.#client.send(bytes, BINARY)
  }

  #sent(bytes: Buffer): void {
    if (!this.#dropped) this.#addToBudget(-bytes.buffer.byteLength)
    this.#takenBytes += bytes.length
    this.#hypervisor.giveBack(bytes)
    if (this.#outputStall === undefined || this.#stopped) return
    this.#outputStall.refresh()
    if (this.#hypervisor.lentBytes > this.#lentLimit / 2) this.#blockedOnClient()
    else this.#clientKeepsUp()
  }

  #addToBudget(bytes: number): void {
    this.#budget.bytes += bytes
    this.#budgetedBytes += bytes
  }

  #clientKeepsUp(): void {
    clearTimeout(this.#outputStall)
    this.#outputStall = undefined
    this.#budget.unblocked(this)
    this.#hypervisor.resume()
  }

  readonly #fromClient = (data: RawData, isBinary: boolean): void => Relay.#receive(this, data, isBinary)

  /** One guard for all relays: each session would keep four closures for its own. */
  static readonly #receive = guardPeer(
    (relay: Relay, data: RawData, isBinary: boolean): void => {
      if (isBinary || relay.#options.acceptsText) relay.#toConsole(data as Buffer)
      else relay.#end({ reason: 'protocol_error', detail: 'the client sent a text frame' })
    },
    (cause, relay) => relay.#end({ reason: 'proxy_error', detail: cause.message, cause }),
  )

  #toConsole(bytes: Buffer): void {
    this.bytesToConsole += bytes.length
    this.#options.count?.toConsole(bytes.length)
    this.lastInputMs = performance.now()
    if (this.#hypervisor.write(bytes) || this.#inputStall !== undefined) return
    this.#client.pause()
    this.#inputStall = this.#stallTimer({ reason: 'console_lost', detail: 'the hypervisor reads no input' })
  }

  readonly #inputDrained = (): void => {
    if (this.#inputStall === undefined || this.#stopped) return
    clearTimeout(this.#inputStall)
    this.#inputStall = undefined
    this.#client.resume()
  }

  #stallTimer(ending: Ending): NodeJS.Timeout {
    return setTimeout(() => this.#end(ending), this.#options.stalledAfterMs)
  }

  #end(ending: Ending): void {
    if (!this.#stopped) this.#options.end(ending)
  }
}
