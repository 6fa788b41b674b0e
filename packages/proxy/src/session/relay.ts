/**
 * The relay between hypervisor and client: the hot path, and the one place where back-pressure is handled by hand.
 *
 * Console to client: what one read brought is one binary frame, sent from the very buffer it was read into; reading stops
 * while the frames under way occupy what the budget allows, so a client that does not read costs no more than that. Client to
 * console: each frame is one write, and the client is not read while the hypervisor does not take what was written.
 */
import type { Writable } from 'node:stream'
import { guardPeer } from '@oriel/runtime'
import type { RawData, WebSocket } from 'ws'
import type { HypervisorSocket } from '../hypervisor/leg.ts'
import { BufferBudget, type Buffering } from './buffer-budget.ts'
import { type Ending, endingOf } from './ending.ts'
import { framed } from './frame.ts'

export interface RelayOptions {
  /** Whether text frames are input too; otherwise they are a `protocol_error`. */
  readonly acceptsText: boolean
  /** How long either side may take nothing at all while something waits for it. */
  readonly stalledAfterMs: number
  /** Limits the read buffers whose bytes are on the way to clients. Default: no limit on the sum. */
  readonly budget?: BufferBudget
  /** The connection below the client's WebSocket, which takes frames that are whole already. Default: ws makes each. */
  readonly stream?: Writable
  /** Told once, when either side ends. */
  readonly end: (ending: Ending) => void
  /** Told of every piece, for totals over all sessions. */
  readonly count?: { toClient(bytes: number): void; toConsole(bytes: number): void }
}

/** What arrived from each side before the relay began. */
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
  /** When a client that does not keep up last read something. */
  stalledSinceMs = 0
  readonly #hypervisor: HypervisorSocket
  readonly #client: WebSocket
  readonly #options: RelayOptions
  readonly #budget: BufferBudget
  #outputStall: NodeJS.Timeout | undefined
  #inputStall: NodeJS.Timeout | undefined
  #stopped = false
  /** Whether its bytes are no longer counted, though some may still be on their way. */
  #dropped = false

  constructor(hypervisor: HypervisorSocket, client: WebSocket, options: RelayOptions) {
    this.#hypervisor = hypervisor
    this.#client = client
    this.#options = options
    this.#budget = options.budget ?? new BufferBudget(Number.MAX_SAFE_INTEGER)
  }

  /** Whether one side does not take what the other sent. An answer to a ping may then be late through no fault. */
  get blocked(): boolean {
    return this.#outputStall !== undefined || this.#inputStall !== undefined
  }

  /** Memory that bytes occupy on their way to the client. */
  get bufferedBytes(): number {
    return this.#hypervisor.lentBytes
  }

  /** Relays until `stop`. */
  start({ fromHypervisor, fromClient }: EarlyBytes): void {
    this.#client.on('message', this.#fromClient)
    this.#hypervisor.onDrain(this.#inputTaken)
    this.#hypervisor.ended.then((cause) => this.#hypervisorEnded(cause))
    if (fromClient.length > 0) this.#toConsole(fromClient)
    if (fromHypervisor.length > 0) this.#sendCopy(fromHypervisor)
    this.#hypervisor.take(this.#fromHypervisor)
  }

  /** Ends the relay: nothing is taken from either side any more. What was sent still leaves. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#outputStall)
    clearTimeout(this.#inputStall)
    this.#budget.unblocked(this)
    this.#client.off('message', this.#fromClient)
    this.#hypervisor.pause()
    // A paused client would never be seen to answer the close frame.
    if (this.#client.isPaused) this.#client.resume()
  }

  /** Ends the session because the memory for slow clients is full. */
  drop(): void {
    this.#dropped = true
    this.#budget.bytes -= this.bufferedBytes
    this.#end({ reason: 'client_stalled', detail: 'sessions.max_buffered_mib is reached', drop: true })
  }

  readonly #fromHypervisor = (bytes: Buffer): boolean => {
    this.bytesToClient += bytes.length
    this.#options.count?.toClient(bytes.length)
    this.#budget.bytes += bytes.buffer.byteLength
    this.#send(bytes)
    if (this.#hypervisor.lentBytes < this.#budget.lentLimit) return true
    this.#blockedOnClient()
    return false
  }

  #blockedOnClient(): void {
    this.#outputStall ??= this.#stallTimer({ reason: 'client_stalled' })
    this.stalledSinceMs = performance.now()
    this.#budget.blocked(this)
  }

  /** Where ws would make two writes and several objects of a frame, one made in place is one write. */
  #send(bytes: Buffer): void {
    const sent = () => this.#sent(bytes)
    const { stream } = this.#options
    // After a close frame nothing may follow: ws sees to that.
    const frame = stream && this.#client.readyState === this.#client.OPEN ? framed(bytes) : undefined
    if (stream && frame) stream.write(frame, sent)
    else this.#client.send(bytes, BINARY, sent)
  }

  #sendCopy(bytes: Buffer): void {
    this.bytesToClient += bytes.length
    this.#options.count?.toClient(bytes.length)
    this.#client.send(bytes, BINARY)
  }

  #sent(bytes: Buffer): void {
    if (!this.#dropped) this.#budget.bytes -= bytes.buffer.byteLength
    this.#hypervisor.giveBack(bytes)
    if (this.#outputStall === undefined || this.#stopped) return
    this.#outputStall.refresh()
    if (this.#hypervisor.lentBytes > this.#budget.lentLimit / 2) this.#blockedOnClient()
    else this.#clientKeepsUp()
  }

  #clientKeepsUp(): void {
    clearTimeout(this.#outputStall)
    this.#outputStall = undefined
    this.#budget.unblocked(this)
    this.#hypervisor.resume()
  }

  readonly #fromClient = guardPeer(
    (data: RawData, isBinary: boolean): void => {
      if (isBinary || this.#options.acceptsText) this.#toConsole(data as Buffer)
      else this.#end({ reason: 'protocol_error', detail: 'a text frame' })
    },
    (cause) => this.#end({ reason: 'proxy_error', detail: cause.message, cause }),
  )

  #toConsole(bytes: Buffer): void {
    this.bytesToConsole += bytes.length
    this.#options.count?.toConsole(bytes.length)
    this.lastInputMs = performance.now()
    if (this.#hypervisor.write(bytes) || this.#inputStall !== undefined) return
    this.#client.pause()
    this.#inputStall = this.#stallTimer({ reason: 'console_lost', detail: 'it takes no input' })
  }

  readonly #inputTaken = (): void => {
    if (this.#inputStall === undefined || this.#stopped) return
    clearTimeout(this.#inputStall)
    this.#inputStall = undefined
    this.#client.resume()
  }

  #hypervisorEnded(cause: Error | undefined): void {
    if (this.#stopped) return
    this.#end(endingOf(cause))
  }

  #stallTimer(ending: Ending): NodeJS.Timeout {
    return setTimeout(() => this.#end(ending), this.#options.stalledAfterMs)
  }

  #end(ending: Ending): void {
    if (!this.#stopped) this.#options.end(ending)
  }
}
