/**
 * The one connection to a serial port, and its readers. A reader that stops taking output delays the others for a moment,
 * so that readers of about the same speed receive everything even while the port floods. After that they go on without it.
 */
import { within } from '@oriel/runtime'
import type { HypervisorSocket, SecuredLeg } from '../hypervisor/leg.ts'
import { Reader, type ReaderUpstream } from './reader.ts'
import type { Ring } from './ring.ts'

/** Dials the port and secures the leg. */
export type OpenUpstream = (signal: AbortSignal) => Promise<SecuredLeg>

/** How long the others wait for a reader. Short enough that a person at a terminal does not notice. */
const GRACE_MS = 50

export class Upstream implements ReaderUpstream {
  readonly ring: Ring
  readonly #onOver: () => void
  readonly #opened: Promise<void>
  readonly #dialling = new AbortController()
  readonly #startedAt: number
  readonly #readers = new Set<Reader>()
  /** The readers that take output as it arrives. */
  readonly #flowing = new Set<Reader>()
  /** The readers that have stopped taking output, but may go on in time. */
  readonly #awaited = new Set<Reader>()
  #grace: NodeJS.Timeout | undefined
  /** How many readers hold each buffer that was lent to more than one. */
  readonly #holders = new Map<Buffer, number>()
  #leg: HypervisorSocket | undefined
  #state: 'unread' | 'reading' | 'paused' | 'over' = 'unread'

  /** @param onOver called once: when opening fails, when the connection ends, or when the last reader has left */
  constructor(open: OpenUpstream, ring: Ring, onOver: () => void) {
    this.ring = ring
    this.#onOver = onOver
    this.#startedAt = ring.end
    this.#opened = open(this.#dialling.signal).then((opened) => this.#start(opened))
    this.#opened.catch(() => this.#over())
  }

  /** Whether the port has printed nothing since it was dialled. */
  get silent(): boolean {
    return this.ring.end === this.#startedAt
  }

  /**
   * Adds a reader, and waits until the port is open. The dial goes on while any reader waits for it.
   * @param from the position of the first byte to pass on
   * @throws the error of the dial; the signal's reason once it aborts
   */
  async join(from: number, signal: AbortSignal): Promise<Reader> {
    const reader = new Reader(this, from)
    this.#readers.add(reader)
    try {
      await within(signal, this.#opened)
      return reader
    } catch (error) {
      reader[Symbol.dispose]()
      throw error
    }
  }

  flow(reader: Reader): void {
    if (this.#state === 'over') return
    this.#awaited.delete(reader)
    this.#flowing.add(reader)
    if (this.#state === 'unread') {
      this.#state = 'reading'
      this.#leg!.take(this.#arrived)
    }
    this.#settle()
  }

  halt(reader: Reader): void {
    this.#stopped(reader)
    this.#settle()
  }

  giveBack(bytes: Buffer): void {
    const holders = this.#holders.get(bytes) ?? 1
    if (holders > 1) {
      this.#holders.set(bytes, holders - 1)
      return
    }
    this.#holders.delete(bytes)
    this.#leg!.giveBack(bytes)
  }

  write(bytes: Uint8Array): boolean {
    return this.#state === 'over' || this.#leg!.write(bytes)
  }

  leave(reader: Reader): void {
    this.#readers.delete(reader)
    this.#flowing.delete(reader)
    this.#awaited.delete(reader)
    if (this.#readers.size === 0) this.#over()
    else this.#settle()
  }

  #start({ hypervisor, rest }: SecuredLeg): void {
    this.#leg = hypervisor
    if (this.#state === 'over') {
      hypervisor[Symbol.dispose]()
      return
    }
    if (rest.length > 0) this.ring.push(rest)
    hypervisor.onDrain(() => {
      for (const reader of this.#readers) reader.drained()
    })
    hypervisor.closed.then((cause) => {
      this.#over()
      for (const reader of this.#readers) reader.end(cause)
    })
  }

  /** Passes each piece to the readers in its own buffer. */
  readonly #arrived = (bytes: Buffer): boolean => {
    this.ring.push(bytes)
    if (this.#flowing.size === 1) this.#offerTo(this.#flowing.values().next().value!, bytes)
    else this.#offerToAll(bytes)
    this.#settle()
    return this.#state === 'reading'
  }

  #offerTo(reader: Reader, bytes: Buffer): void {
    if (!reader.offer(bytes)) this.#stopped(reader)
  }

  #offerToAll(bytes: Buffer): void {
    const readers = [...this.#flowing]
    if (readers.length === 0) this.#leg!.giveBack(bytes)
    else this.#holders.set(bytes, readers.length)
    for (const reader of readers) {
      // A reader may leave while another one takes the bytes.
      if (this.#flowing.has(reader)) this.#offerTo(reader, bytes)
      else this.giveBack(bytes)
    }
  }

  #stopped(reader: Reader): void {
    const hasFlowed = this.#flowing.delete(reader)
    if (hasFlowed && !reader.isSlow) this.#awaited.add(reader)
  }

  /** Reads while a reader takes output, and none is waited for. */
  #settle(): void {
    const isWaiting = this.#flowing.size > 0 && this.#awaited.size > 0
    if (isWaiting) this.#grace ??= setTimeout(() => this.#goOnWithout(), GRACE_MS)
    else this.#endGrace()
    const reads = this.#flowing.size > 0 && !isWaiting
    if (reads && this.#state === 'paused') {
      this.#state = 'reading'
      this.#leg!.resume()
    } else if (!reads && this.#state === 'reading') {
      this.#state = 'paused'
      this.#leg!.pause()
    }
  }

  #goOnWithout(): void {
    for (const reader of this.#awaited) reader.isSlow = true
    this.#awaited.clear()
    this.#settle()
  }

  #endGrace(): void {
    if (this.#grace === undefined) return
    clearTimeout(this.#grace)
    this.#grace = undefined
  }

  #over(): void {
    if (this.#state === 'over') return
    this.#state = 'over'
    this.#endGrace()
    this.#dialling.abort(new Error('the last reader of the port left'))
    this.#leg?.[Symbol.dispose]()
    this.#onOver()
  }
}
