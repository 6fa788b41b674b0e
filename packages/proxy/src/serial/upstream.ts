/**
 * The one connection to a serial port, and its readers. A reader that stops taking output delays the others for a moment,
 * so that readers of about the same speed receive everything even while the port floods. After that they go on without it.
 *
 * When the machine of the port moves to another host, the readers stay: the upstream dials the port there, and the output goes
 * on after a line that says so.
 */
import { within } from '@oriel/runtime'
import { type HypervisorSocket, LegFault, type SecuredLeg } from '../hypervisor/leg.ts'
import { allocatePayload } from '../hypervisor/read-buffers.ts'
import { PausedInput } from './input.ts'
import { markMove, takeOwnBack } from './moved-leg.ts'
import { FORWARDING, Reader, type ReaderOwner, type ReaderUpstream } from './reader.ts'
import type { Ring } from './ring.ts'

/** Dials the port and secures the leg. */
export type OpenUpstream = (signal: AbortSignal) => Promise<OpenedPort>

export interface OpenedPort extends SecuredLeg {
  /** What the port printed before, if it is open elsewhere. */
  readonly earlier?: Buffer
  /** Whether the output has the line of a move since the port was dialled. Default: no. */
  readonly isMarked?: boolean
  /** Keeps other proxies from dialling the port. Disposed once the port is closed. */
  readonly hold?: Disposable | undefined
}

/** Where the machine of a port is, according to the authority. */
export interface Destination {
  /** Returns whether the port is dialled there already. */
  isPresent(): boolean
  /**
   * Dials the port there, secures the leg, and holds the port.
   * @param session resolves with one that may go on there, and rejects if none may
   */
  open(session: Promise<string>, signal: AbortSignal): Promise<OpenedPort>
  /** Resolves with whether a session may go on there. Never rejects. */
  admits(sessionId: string): Promise<boolean>
  /** Called when the output of the port goes on there. */
  reached(): void
}

/** The port as its upstream sees it. */
export interface UpstreamPort {
  /** Called once: when opening fails, when the connection ends, or when the last reader has left. */
  over(): void
  /** Called when the connection to a host has ended, before the machine is searched for. */
  lost(): void
  /** Whether `find` can find the machine. Otherwise the port ends with its connection. */
  readonly canMove: boolean
  /** Finds the machine. Resolves with `off` if it is switched off, `undefined` if the authority names no place. Never rejects. */
  find(sessionId: string): Promise<Destination | 'off' | undefined>
}

/** Marks the place in the output at which the port was closed. QEMU drops output while the port has no connection. */
export const GAP = Buffer.from('\r\n[oriel: the port was closed; output may be missing here]\r\n')
const NOTHING = Buffer.alloc(0)
/** How long the others wait for a reader. Short enough that a person at a terminal does not notice. */
const GRACE_MS = 50
/** How long a buffer stays lent for the ring. Long enough for the next piece of a flood, short for a buffer that idles. */
const SETTLE_MS = 10

export class Upstream implements ReaderUpstream {
  readonly ring: Ring
  readonly #port: UpstreamPort
  #opened: Promise<void>
  readonly #readers = new Set<Reader>()
  /** Aborts the dial or the search; `undefined` while the port is open. */
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
  #hold: Disposable | undefined
  /** The input since the connection ended. */
  #input: PausedInput | undefined
  #isMarked = false
  #state: 'unread' | 'reading' | 'paused' | 'moving' | 'over' = 'unread'

  constructor(ring: Ring, open: OpenUpstream, port: UpstreamPort) {
    this.ring = ring
    this.#port = port
    this.#silentUntil = ring.end
    this.#opened = open(this.#dialling!.signal).then((opened) => this.#start(opened))
    this.#opened.catch(() => this.#over())
  }

  get isMarked(): boolean {
    return this.#isMarked
  }

  get silent(): boolean {
    return this.ring.end === this.#silentUntil
  }

  /**
   * Adds a reader, and waits until the port is open. The dial goes on while any reader waits for it.
   * @param earlierBytes how much of the earlier output it receives
   * @throws the error of the dial; the signal's reason once it aborts
   */
  async join(earlierBytes: number, signal: AbortSignal, owner?: ReaderOwner): Promise<Reader> {
    const reader = new Reader(this, owner)
    const now = this.#leg || this.#state === 'moving' ? this.ring.end : undefined
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

  /** Adds a forwarding reader that receives the output since the port was last dialled. @throws as `join` does */
  async joinSinceOpening(signal: AbortSignal): Promise<Reader> {
    const reader = await this.join(0, signal, FORWARDING)
    reader.startAt(this.#startedAt < this.ring.start ? this.ring.lastLines() : this.#startedAt)
    return reader
  }

  flow(reader: Reader): void {
    if (this.#state === 'over') return
    reader.state = 'flowing'
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
    else this.#leg?.giveBack(bytes)
  }

  write(bytes: Uint8Array, reader: Reader): boolean {
    if (this.#input) return this.#input.keep(bytes, reader)
    return this.#state === 'over' || this.#leg!.write(bytes)
  }

  leave(reader: Reader): void {
    reader.state = 'off'
    this.#readers.delete(reader)
    if (this.#readers.size === 0) this.#over()
    else this.#settle()
  }

  machineMoved(reader: Reader): boolean {
    const { owner } = reader
    if (!this.#port.canMove || this.#state === 'over' || typeof owner !== 'string') return false
    if (this.#state !== 'moving') void this.#check(reader, owner)
    return true
  }

  #start({ hypervisor, rest, earlier, hold }: OpenedPort): void {
    this.#hold = hold
    this.#dialling = undefined
    if (earlier) this.#replace(earlier)
    else if (this.ring.end > this.ring.start) this.#markGap()
    this.#startedAt = this.ring.end
    this.ring.push(rest)
    this.#attach(hypervisor)
  }

  /** Marks that output since the last session of the port may be lost. */
  #markGap(): void {
    const last = this.ring.copy(Math.max(this.ring.start, this.ring.end - GAP.length), NOTHING)
    if (!last.equals(GAP)) this.ring.push(GAP)
    this.#silentUntil = this.ring.end
  }

  #attach(hypervisor: HypervisorSocket): void {
    this.#leg = hypervisor
    if (this.#state === 'over') {
      this.#close()
      return
    }
    hypervisor.onDrain(() => this.#drained())
    hypervisor.closed.then((cause) => {
      if (hypervisor === this.#leg) this.#onLegEnd(cause)
    })
  }

  #drained(): void {
    for (const reader of this.#readers) reader.drained()
  }

  #onLegEnd(cause: Error | undefined): void {
    if (!this.#port.canMove || cause instanceof LegFault || this.#state === 'over') this.#end(cause)
    else void this.#follow(cause)
  }

  /** Searches for the machine, and goes on there. The readers end as the connection did if it is not elsewhere. */
  async #follow(cause: Error | undefined): Promise<void> {
    const asking = this.#startMoving(cause)
    if (asking === undefined) return
    const destination = await this.#port.find(asking)
    if (this.#state !== 'moving') return
    if (destination === 'off') this.#end(new LegFault('switched_off', 'the machine is switched off'))
    else if (destination && !destination.isPresent()) this.#goOn(destination)
    else this.#end(cause)
  }

  /** Checks a machine that has moved according to the authority, although the connection to it may be open. */
  async #check(reader: Reader, sessionId: string): Promise<void> {
    const destination = await this.#port.find(sessionId)
    if (this.#state === 'moving' || this.#state === 'over') return
    if (destination === 'off') return this.#drop(reader, 'the machine is switched off', 'switched_off')
    if (destination?.isPresent()) await this.#checkReader(destination, reader)
    else if (destination && this.#startMoving(undefined) !== undefined) this.#goOn(destination)
    else if (!destination) this.#drop(reader, 'the authority cannot say where the console is')
  }

  /**
   * Keeps the sessions and their input. Ends forwarding readers: other ports and processes search for the machine themselves.
   * Returns a session by which to ask for it. Without a session it ends the port, and returns `undefined`.
   */
  #startMoving(cause: Error | undefined): string | undefined {
    for (const reader of this.#readers) if (reader.owner === FORWARDING) this.#cut(reader, cause)
    const session = [...this.#readers].map(({ owner }) => owner).find((owner) => typeof owner === 'string')
    if (session === undefined) this.#end(cause)
    else this.#pauseForMove()
    return session
  }

  #pauseForMove(): void {
    const leg = this.#leg
    this.#settleDue()
    this.#state = 'moving'
    this.#leg = undefined
    leg?.[Symbol.dispose]()
    this.#input = new PausedInput()
    this.#dialling = new AbortController()
    this.#port.lost()
  }

  #cut(reader: Reader, cause: Error | undefined): void {
    this.#readers.delete(reader)
    reader.cut(cause)
  }

  #goOn(destination: Destination): void {
    this.#opened = this.#reopen(destination)
    this.#opened.catch((cause: Error) =>
      this.#end(new LegFault('moved', `the port cannot be opened on the other host: ${cause.message}`, { cause })),
    )
  }

  /** Asks for each session while the port is dialled. No byte passes before all answers are there. */
  async #reopen(destination: Destination): Promise<void> {
    const checks = [...this.#readers].map((reader) => this.#checkReader(destination, reader))
    const opening = destination.open(firstAdmitted(checks), this.#dialling!.signal)
    const [opened] = await Promise.all([opening, ...checks])
    this.#splice(opened)
    if (this.#state !== 'over') destination.reached()
  }

  /**
   * Returns the session if it may go on. Otherwise drops its reader as `moved`: the page gets the reason when it
   * reconnects.
   */
  async #checkReader(destination: Destination, reader: Reader): Promise<string | undefined> {
    const { owner } = reader
    if (typeof owner !== 'string') return undefined
    if (await destination.admits(owner)) return owner
    this.#drop(reader, 'the authority does not let the session go on')
    return undefined
  }

  #drop(reader: Reader, detail: string, reason: LegFault['reason'] = 'moved'): void {
    reader.drop(new LegFault(reason, detail))
    this.leave(reader)
  }

  /** Goes on with the port on the other host. The line that says so is added once, wherever the output passes first. */
  #splice({ hypervisor: leg, rest: first, earlier, isMarked = false, hold }: OpenedPort): void {
    // The process that dialled the port there holds it now, in place of the one that dialled it before.
    this.#hold?.[Symbol.dispose]()
    this.#hold = hold
    const opened = { hypervisor: leg, rest: earlier ?? first }
    const { hypervisor, rest } = isMarked
      ? { ...opened, hypervisor: takeOwnBack(leg) }
      : markMove(opened, this.ring.isAtLineStart)
    this.#isMarked = true
    this.#dialling = undefined
    this.#startedAt = this.ring.end
    this.#attach(hypervisor)
    if (this.#state === 'over') return
    if (rest.length > 0) this.#arrived(copyOf(rest))
    if (opened.rest.length === 0) this.#silentUntil = this.ring.end
    this.#state = 'unread'
    this.#sendInput(hypervisor)
    this.#settle()
  }

  #sendInput(hypervisor: HypervisorSocket): void {
    const kept = this.#input!.take(this.#readers)
    this.#input = undefined
    const takesMore = kept.map((bytes) => hypervisor.write(bytes))
    if (!takesMore.includes(false)) this.#drained()
  }

  #end(cause: Error | undefined): void {
    this.#over()
    for (const reader of this.#readers) reader.end(cause)
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
    this.#settling ??= setTimeout(() => this.#settleDue(), SETTLE_MS)
  }

  #giveBackDue(): void {
    const due = this.#due
    if (due === undefined) return
    this.#due = undefined
    this.#leg?.giveBack(due)
  }

  /** Copies what the ring has not copied yet, and gives the buffer back. */
  #settleDue(): void {
    clearTimeout(this.#settling)
    this.#settling = undefined
    this.ring.settle()
    this.#giveBackDue()
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
    if (reads && this.#state === 'unread') {
      this.#state = 'reading'
      this.#leg!.take(this.#arrived)
    } else if (reads && this.#state === 'paused') {
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
    this.#close()
    this.#port.over()
  }

  #close(): void {
    this.#leg?.[Symbol.dispose]()
    this.#hold?.[Symbol.dispose]()
  }
}

/** Resolves with the first session that may go on. Rejects if no session may: then the port has no reader any more. */
function firstAdmitted(checks: readonly Promise<string | undefined>[]): Promise<string> {
  const admitted = Promise.any(
    checks.map(async (check) => {
      const session = await check
      if (session === undefined) throw new Error('the session may not go on')
      return session
    }),
  )
  // A port without a hold does not await it: don't report the rejection as unhandled.
  admitted.catch(() => {})
  return admitted
}

/** A copy in memory with room for a frame's header. */
function copyOf(bytes: Buffer): Buffer {
  const copy = allocatePayload(bytes.length)
  copy.set(bytes)
  return copy
}
