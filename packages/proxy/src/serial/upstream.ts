/**
 * The one connection to a serial port, and its readers. A reader that stops taking output delays the others for a moment,
 * so that readers of about the same speed receive everything even while the port floods. After that they go on without it.
 */
import { within } from '@oriel/runtime'
import type { HypervisorSocket, SecuredLeg } from '../hypervisor/leg.ts'
import { Reader, type ReaderUpstream } from './reader.ts'
import type { Ring } from './ring.ts'

/** Dials the port and secures the leg. */
export type OpenUpstream = (signal: AbortSignal) => Promise<OpenedPort>

export interface OpenedPort extends SecuredLeg {
  /** What the port printed before, if it is open elsewhere. */
  readonly earlier?: Buffer
}

/** How long the others wait for a reader. Short enough that a person at a terminal does not notice. */
const GRACE_MS = 50
/** How long a buffer stays lent for the ring. Long enough for the next piece of a flood, short for a buffer that idles. */
const SETTLE_MS = 10

export class Upstream implements ReaderUpstream {
  readonly ring: Ring
  readonly #onOver: () => void
  readonly #opened: Promise<void>
  readonly #readers = new Set<Reader>()
  /** Aborts the dial; `undefined` once the port is open. */
  #dialling: AbortController | undefined = new AbortController()
  /** How many readers hold each buffer that was lent to more than one. */
  #holders: Map<Buffer, number> | undefined
  /** The position of the first byte after opening. */
  #startedAt = 0
  #silentUntil = 0
  #grace: NodeJS.Timeout | undefined
  /** A buffer that all readers have given back, but of which the ring needs a copy. */
  #due: Buffer | undefined
  #settling: NodeJS.Timeout | undefined
  #leg: HypervisorSocket | undefined
  #state: 'unread' | 'reading' | 'paused' | 'over' = 'unread'

  /** @param onOver called once: when opening fails, when the connection ends, or when the last reader has left */
  constructor(open: OpenUpstream, ring: Ring, onOver: () => void) {
    this.ring = ring
    this.#onOver = onOver
    this.#silentUntil = ring.end
    this.#opened = open(this.#dialling!.signal).then((opened) => this.#start(opened))
    this.#opened.catch(() => this.#over())
  }

  get silent(): boolean {
    return this.ring.end === this.#silentUntil
  }

  /**
   * Adds a reader, and waits until the port is open. The dial goes on while any reader waits for it.
   * @param earlierBytes how much of the earlier output it receives
   * @throws the error of the dial; the signal's reason once it aborts
   */
  async join(earlierBytes: number, signal: AbortSignal): Promise<Reader> {
    const reader = new Reader(this)
    const now = this.#leg && this.ring.end
    this.#readers.add(reader)
    try {
      await within(signal, this.#opened)
      reader.startAt(earlierBytes > 0 ? this.ring.lastLines(earlierBytes) : (now ?? this.#startedAt))
      return reader
    } catch (error) {
      reader[Symbol.dispose]()
      throw error
    }
  }

  flow(reader: Reader): void {
    if (this.#state === 'over') return
    reader.state = 'flowing'
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
    const holders = this.#holders?.get(bytes) ?? 1
    if (holders > 1) {
      this.#holders!.set(bytes, holders - 1)
      return
    }
    this.#holders?.delete(bytes)
    if (this.ring.holds(bytes)) this.#giveBackLater(bytes)
    else this.#leg!.giveBack(bytes)
  }

  write(bytes: Uint8Array): boolean {
    return this.#state === 'over' || this.#leg!.write(bytes)
  }

  leave(reader: Reader): void {
    reader.state = 'off'
    this.#readers.delete(reader)
    if (this.#readers.size === 0) this.#over()
    else this.#settle()
  }

  #start({ hypervisor, rest, earlier }: OpenedPort): void {
    this.#leg = hypervisor
    this.#dialling = undefined
    if (this.#state === 'over') {
      hypervisor[Symbol.dispose]()
      return
    }
    if (earlier) this.#replace(earlier)
    this.#startedAt = this.ring.end
    this.ring.push(rest)
    hypervisor.onDrain(() => {
      for (const reader of this.#readers) reader.drained()
    })
    hypervisor.closed.then((cause) => {
      this.#over()
      for (const reader of this.#readers) reader.end(cause)
    })
  }

  /** What this process has is older, with a gap after it. */
  #replace(earlier: Buffer): void {
    this.ring.clear()
    this.ring.push(earlier)
  }

  /** Passes each piece to the readers in its own buffer. */
  readonly #arrived = (bytes: Buffer): boolean => {
    this.ring.append(bytes)
    this.#giveBackDue()
    const readers = this.#inState('flowing')
    if (readers.length === 0) this.giveBack(bytes)
    if (readers.length > 1) this.#share(bytes, readers.length)
    for (const reader of readers) {
      // A reader may leave while another one takes the bytes.
      if (reader.state !== 'flowing') this.giveBack(bytes)
      else if (!reader.offer(bytes)) this.#stopped(reader)
    }
    this.#settle()
    return this.#state === 'reading'
  }

  /** Once the ring has a copy, or no longer needs one. */
  #giveBackLater(bytes: Buffer): void {
    this.#due = bytes
    this.#settling ??= setTimeout(() => {
      this.#settling = undefined
      this.ring.settle()
      this.#giveBackDue()
    }, SETTLE_MS)
  }

  #giveBackDue(): void {
    const due = this.#due
    if (due === undefined) return
    this.#due = undefined
    this.#leg!.giveBack(due)
  }

  #share(bytes: Buffer, holders: number): void {
    this.#holders ??= new Map()
    this.#holders.set(bytes, holders)
  }

  #stopped(reader: Reader): void {
    if (reader.state === 'flowing') reader.state = reader.isSlow ? 'off' : 'awaited'
  }

  #inState(state: Reader['state']): readonly Reader[] {
    return [...this.#readers].filter((reader) => reader.state === state)
  }

  /** Reads while a reader takes output, and none is waited for. */
  #settle(): void {
    let [isTaken, isWaiting] = [false, false]
    for (const { state } of this.#readers) {
      isTaken ||= state === 'flowing'
      isWaiting ||= state === 'awaited'
    }
    if (isTaken && isWaiting) this.#grace ??= setTimeout(() => this.#goOnWithout(), GRACE_MS)
    else this.#endGrace()
    this.#read(isTaken && !isWaiting)
  }

  #read(reads: boolean): void {
    if (reads && this.#state === 'paused') {
      this.#state = 'reading'
      this.#leg!.resume()
    } else if (!reads && this.#state === 'reading') {
      this.#state = 'paused'
      this.#leg!.pause()
    }
  }

  #goOnWithout(): void {
    for (const reader of this.#inState('awaited')) {
      reader.isSlow = true
      reader.state = 'off'
    }
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
    clearTimeout(this.#settling)
    this.ring.settle()
    this.#dialling?.abort(new Error('the last reader of the port left'))
    this.#leg?.[Symbol.dispose]()
    this.#onOver()
  }
}
