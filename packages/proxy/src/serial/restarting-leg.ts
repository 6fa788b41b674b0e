/**
 * A leg to a serial port that survives the end of its connection: while the machine restarts, `closed` stays pending, and the
 * output goes on once the port is open again. Lines in the output say what happened.
 */
import type { HypervisorSocket, SecuredLeg, TakeBytes } from '../hypervisor/leg.ts'
import { LegFault } from '../hypervisor/leg.ts'
import { allocatePayload } from '../hypervisor/read-buffers.ts'

/** Opens the port again. Rejects once it is given up: then the leg ends with the error of the connection that was lost. */
export type Reopen = () => Promise<SecuredLeg>

const CLOSED = '\r\n[oriel: the machine closed its serial port]\r\n'
const RESTARTED = '\r\n[oriel: the machine restarted]\r\n'
const LOST = '\r\n[oriel: the connection to the serial port was lost]\r\n'
const BACK = '\r\n[oriel: the connection is back]\r\n'

export class RestartingLeg implements HypervisorSocket {
  readonly #reopen: Reopen
  readonly #closed = Promise.withResolvers<Error | undefined>()
  #leg: HypervisorSocket
  /** `undefined` while the port is closed. */
  #open: HypervisorSocket | undefined
  /** Bytes that the present connection has lent. Those of earlier ones, and of lines, belong to no connection. */
  #lent = new Set<Buffer>()
  #taker: TakeBytes | undefined
  #drained: (() => void) | undefined
  #reads = false
  /** Whether the present connection passes its bytes on. */
  #isTaken = false
  /** Lines, and the first bytes of a new connection, that wait for a reader. */
  #waiting: Buffer[] = []
  #isDisposed = false

  constructor(leg: HypervisorSocket, reopen: Reopen) {
    this.#reopen = reopen
    this.#leg = leg
    this.#use(leg)
  }

  get closed(): Promise<Error | undefined> {
    return this.#closed.promise
  }

  get lentBytes(): number {
    return this.#leg.lentBytes
  }

  take(taker: TakeBytes): void {
    this.#taker = taker
    this.#reads = true
    this.#isTaken = false
    this.#goOnReading()
  }

  giveBack(bytes: Buffer): void {
    if (this.#lent.delete(bytes)) this.#leg.giveBack(bytes)
  }

  pause(): void {
    this.#reads = false
    this.#open?.pause()
  }

  resume(): void {
    this.#reads = true
    this.#goOnReading()
  }

  /** Drops input while the port is closed, as an unplugged cable does. */
  write(bytes: Uint8Array): boolean {
    return this.#open?.write(bytes) ?? true
  }

  onDrain(drained: () => void): void {
    this.#drained = drained
    this.#leg.onDrain(drained)
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true
    this.#closed.resolve(undefined)
    this.#leg[Symbol.dispose]()
  }

  #use(leg: HypervisorSocket): void {
    this.#leg = leg
    this.#open = leg
    this.#lent = new Set()
    this.#isTaken = false
    if (this.#drained) leg.onDrain(this.#drained)
    leg.closed.then((cause) => this.#onClosed(cause))
  }

  #onClosed(cause: Error | undefined): void {
    if (this.#isDisposed) return
    this.#open = undefined
    if (cause instanceof LegFault) {
      this.#closed.resolve(cause)
      return
    }
    this.#waiting.push(payloadOf(Buffer.from(cause ? LOST : CLOSED)))
    this.#passWaiting()
    this.#reopen().then(
      (opened) => this.#goOn(opened, cause),
      () => this.#closed.resolve(cause),
    )
  }

  #goOn({ hypervisor, rest }: SecuredLeg, cause: Error | undefined): void {
    if (this.#isDisposed) {
      hypervisor[Symbol.dispose]()
      return
    }
    this.#use(hypervisor)
    // Input that was dropped must not stay paused.
    this.#drained?.()
    this.#waiting.push(payloadOf(Buffer.concat([Buffer.from(cause ? BACK : RESTARTED), rest])))
    this.#goOnReading()
  }

  /** Passes on what waits, and then reads from the present connection. */
  #goOnReading(): void {
    this.#passWaiting()
    if (!this.#reads || !this.#open) return
    if (this.#isTaken) this.#open.resume()
    else this.#open.take(this.#arrived)
    this.#isTaken = true
  }

  readonly #arrived = (bytes: Buffer): boolean => {
    this.#lent.add(bytes)
    this.#reads = this.#taker!(bytes)
    return this.#reads
  }

  #passWaiting(): void {
    while (this.#reads && this.#taker) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#reads = this.#taker(next)
    }
  }
}

function payloadOf(bytes: Buffer): Buffer {
  const payload = allocatePayload(bytes.length)
  payload.set(bytes)
  return payload
}
