/**
 * The leg of one reader of a serial port. While the reader keeps up it receives the upstream's own buffers, which all readers
 * share. A reader that paused continues from the ring; output that the ring no longer has is left out, and a line says so.
 */
import { type HypervisorSocket, LegFault, type TakeBytes } from '../hypervisor/leg.ts'
import type { Ring } from './ring.ts'

/** The upstream as a reader sees it. */
export interface ReaderUpstream {
  readonly ring: Ring
  /** Whether the port has printed nothing since it was dialled. */
  readonly silent: boolean
  /** Whether the output since the port was dialled has the line of a move. */
  readonly isMarked: boolean
  /** Offers the reader the output that arrives from now on. */
  flow(reader: Reader): void
  /** Stops offering. The upstream stops reading only if no other reader takes its output. */
  halt(reader: Reader): void
  giveBack(bytes: Buffer): void
  write(bytes: Uint8Array, reader: Reader): boolean
  leave(reader: Reader): void
  /** Checks where the machine is. Returns whether the upstream follows it. */
  machineMoved(reader: Reader): boolean
}

/** Owns readers that pass the output on to the readers of another port or process. */
export const FORWARDING = Symbol('forwarding')

/** The session that reads, by its id at the authority. `undefined`: the proxy itself, which stays attached to the port. */
export type ReaderOwner = string | undefined | typeof FORWARDING

export class Reader implements HypervisorSocket {
  /**
   * Set by the upstream. `flowing`: the reader takes output as it arrives, and has received everything; `awaited`: it has
   * stopped, but may go on in time.
   */
  state: 'off' | 'flowing' | 'awaited' = 'off'
  /** Whether the other readers went on without this one, which has not caught up since. */
  isSlow = false
  readonly owner: ReaderOwner
  readonly #upstream: ReaderUpstream
  readonly #closed = Promise.withResolvers<Error | undefined>()
  #taker: TakeBytes | undefined
  #drained: (() => void) | undefined
  /** The position of the next byte to pass on, while output is not flowing. */
  #position = Number.NaN
  #lentBytes = 0
  /** Copies from the ring that are lent now. */
  #copies: Set<Buffer> | undefined
  #ended: { readonly cause: Error | undefined } | undefined
  #left = false

  constructor(upstream: ReaderUpstream, owner?: ReaderOwner) {
    this.#upstream = upstream
    this.owner = owner
  }

  get closed(): Promise<Error | undefined> {
    return this.#closed.promise
  }

  get lentBytes(): number {
    return this.#lentBytes
  }

  /** Whether the port has printed nothing since it was dialled. */
  get silent(): boolean {
    return this.#upstream.silent
  }

  get isMarked(): boolean {
    return this.#upstream.isMarked
  }

  take(taker: TakeBytes): void {
    this.#taker = taker
    this.resume()
  }

  resume(): void {
    if (this.state === 'flowing' || this.#left || !this.#taker) return
    const goesOn = this.#catchUp(this.#taker)
    if (this.#ended) this.#closed.resolve(this.#ended.cause)
    else if (goesOn) this.#upstream.flow(this)
  }

  pause(): void {
    if (this.state !== 'flowing') return
    this.#position = this.#upstream.ring.end
    this.#upstream.halt(this)
  }

  giveBack(bytes: Buffer): void {
    this.#lentBytes -= bytes.buffer.byteLength
    if (!this.#copies?.delete(bytes)) this.#upstream.giveBack(bytes)
  }

  write(bytes: Uint8Array): boolean {
    return this.#upstream.write(bytes, this)
  }

  onDrain(drained: () => void): void {
    this.#drained = drained
  }

  /** Returns the output that is printed already and not passed on yet, instead of passing it on. */
  takeEarlier(): Buffer {
    const { ring } = this.#upstream
    const earlier = ring.copy(this.#position, NOTHING)
    this.#position = ring.end
    return earlier
  }

  machineMoved(): boolean {
    return this.#upstream.machineMoved(this)
  }

  /** Closes this leg with a fault of its client. The upstream stays open for the others. */
  fail(fault: Error): void {
    this.#closed.resolve(fault)
  }

  [Symbol.dispose](): void {
    if (this.#left) return
    this.#left = true
    this.#closed.resolve(undefined)
    this.#upstream.leave(this)
  }

  // Calls of the upstream

  /** @param from the position of the first byte to pass on */
  startAt(from: number): void {
    this.#position = from
  }

  /** Passes on the newest bytes, which the ring has already. Returns whether to offer more. */
  offer(bytes: Buffer): boolean {
    this.#lentBytes += bytes.buffer.byteLength
    const goesOn = this.#taker!(bytes)
    if (!goesOn) this.#position = this.#upstream.ring.end
    return goesOn
  }

  drained(): void {
    this.#drained?.()
  }

  /** Reports the end of the upstream. A reader that is behind receives the rest of the output first, unless the upstream failed. */
  end(cause: Error | undefined): void {
    this.#ended = { cause }
    const isBehind = this.state !== 'flowing' && this.#position !== this.#upstream.ring.end
    const isFailure = cause !== undefined && !(cause instanceof LegFault && cause.reason === 'switched_off')
    if (!isBehind || isFailure) this.#closed.resolve(cause)
  }

  /** Ends the leg at once: passes on all output even if the reader wants no more, and none that is printed later. */
  cut(cause: Error | undefined): void {
    if (this.#left) return
    if (this.#taker && this.state !== 'flowing') this.#catchUp(this.#taker)
    this.drop(cause)
  }

  /** Ends the leg at once, without the output that the reader has not taken. */
  drop(cause: Error | undefined): void {
    this.state = 'off'
    this.#left = true
    this.#closed.resolve(cause)
  }

  /** Passes on the output since the reader's position. Returns whether the taker wants more. */
  #catchUp(taker: TakeBytes): boolean {
    const { ring } = this.#upstream
    const position = this.#position
    const from = position < ring.start ? ring.lastLines() : position
    this.#position = ring.end
    if (from === position) this.isSlow = false
    if (from === ring.end && from === position) return true
    const copy = ring.copy(from, from === position ? NOTHING : leftOut(from - position))
    this.#copies ??= new Set()
    this.#copies.add(copy)
    this.#lentBytes += copy.buffer.byteLength
    return taker(copy)
  }
}

const NOTHING = Buffer.alloc(0)

/** The line in place of output that a slow reader does not receive. Whole lines follow it. */
const leftOut = (bytes: number) => Buffer.from(`\r\n[oriel: ${bytes} bytes of output were left out]\r\n`)
