/**
 * The port between the hypervisor and the relay: one connection to a console. TCP (`tcp-leg.ts`) and TLS (`tls-leg.ts`)
 * implement it. Features between hypervisor and relay decorate it:
 *
 *     hypervisor ── TCP or TLS leg ── decorator ── decorator ── relay ── client
 *
 * A decorator is a leg that forwards to another: a class that extends {@link ForwardingLeg}, or built by {@link decorateLeg} or
 * {@link observeLeg}.
 * `consoles/secure.ts` composes the decorators of each console type, the innermost first. The relay sees
 * the last leg only. New features take their place by what they have to see or change:
 *
 * - A role that may only watch replaces `write` (`rfb/input-filter.ts`). It must know the protocol, because a viewer still has
 *   to send requests. It is outermost, so that no other decorator holds input that must not pass.
 * - A recording observes output by `observeLeg` and input by replacing `write`. It decorates the guards, so that it records
 *   only what they let pass. Bytes are lent, so it copies what it keeps.
 * - Re-attaching after a live migration is innermost (`serial/upstream.ts`): `closed` stays pending while it dials again, so
 *   that the relay does not notice. The leg to the new host is secured as the first one was.
 */
import type { SecureContext } from 'node:tls'
import type { CloseReasonName } from '@oriel/contract'
import type { ExpectedIdentity } from './server-certificate.ts'
import type { UnixSocket } from './unix-socket.ts'

/** Receives lent bytes, which the receiver returns by `giveBack`. `false` pauses reading until `resume`. */
export type TakeBytes = (bytes: Buffer) => boolean

/** A leg to the hypervisor over TCP or TLS, with or without decorators. */
export interface HypervisorSocket extends Disposable {
  /** Passes the bytes that arrive from now on to `taker`. Before the first call the leg does not read. */
  take(taker: TakeBytes): void
  giveBack(bytes: Buffer): void
  /** The memory that lent bytes occupy now. */
  readonly lentBytes: number
  /** Stops reading until `take` or `resume`. */
  pause(): void
  resume(): void
  /** Returns `false` while the socket buffers more than its high-water mark; `onDrain` reports the end of that. */
  write(bytes: Uint8Array): boolean
  onDrain(drained: () => void): void
  /**
   * Reports that, according to the authority, the machine runs on another host. Returns whether the leg follows it. Absent: it
   * does not.
   */
  machineMoved?(): boolean
  /** Resolves when the leg ends: with `undefined` after an orderly end, otherwise with the error. */
  readonly closed: Promise<Error | undefined>
  /** Drops the leg at once, with the bytes that are not written yet. */
  [Symbol.dispose](): void
}

/** A leg with the bytes that were read from it and not passed on yet. */
export interface SecuredLeg {
  readonly hypervisor: HypervisorSocket
  readonly rest: Buffer
}

/** A session's leg to a console that other sessions may have open too. */
export interface SharedLeg extends HypervisorSocket {
  /** Whether the guest has sent nothing since the console was dialled. */
  readonly silent: boolean
  /** Closes this leg with a fault of its client, and leaves the others open. */
  fail(fault: Error): void
}

/** A leg as it was dialled, in plaintext. */
export interface PlainLeg extends HypervisorSocket {
  /**
   * Puts TLS around the leg. The caller must have stopped reading, and from then on uses the returned leg only.
   * @throws the error of TLS or of the socket; the signal's reason once it aborts
   */
  startTls(tls: LegTls, signal: AbortSignal): Promise<HypervisorSocket>
}

export interface LegTls {
  /** The trusted CAs, and the proxy's client certificate if it has one. */
  readonly context: SecureContext
  /** The host that the authority named. */
  readonly host: string
  readonly expected: ExpectedIdentity
  /** Whether `context` has a client certificate. */
  readonly hasCertificate: boolean
}

export interface HypervisorAddress {
  readonly host: string
  readonly port: number
  /** The Unix socket to dial in place of host and port. */
  readonly socket?: UnixSocket | undefined
}

/** Ends a leg with this close reason instead of `console_lost`. */
export class LegFault extends Error {
  override readonly name = 'LegFault'
  readonly reason: CloseReasonName

  constructor(reason: CloseReasonName, detail: string, options?: ErrorOptions) {
    super(detail, options)
    this.reason = reason
  }
}

/**
 * Forwards to a leg, except for the methods that a subclass overrides. Has methods on the prototype: as closures they would
 * cost every idle session half a KiB. Bytes that arrive pass without an extra call unless `take` is overridden, because the
 * forwarded `take` gives the relay's own function to the socket.
 */
export class ForwardingLeg implements HypervisorSocket {
  readonly closed: Promise<Error | undefined>
  protected readonly leg: HypervisorSocket

  constructor(leg: HypervisorSocket, closed = leg.closed) {
    this.leg = leg
    this.closed = closed
  }

  take(taker: TakeBytes): void {
    this.leg.take(taker)
  }

  giveBack(bytes: Buffer): void {
    this.leg.giveBack(bytes)
  }

  get lentBytes(): number {
    return this.leg.lentBytes
  }

  pause(): void {
    this.leg.pause()
  }

  resume(): void {
    this.leg.resume()
  }

  write(bytes: Uint8Array): boolean {
    return this.leg.write(bytes)
  }

  onDrain(drained: () => void): void {
    this.leg.onDrain(drained)
  }

  machineMoved(): boolean {
    return this.leg.machineMoved?.() ?? false
  }

  [Symbol.dispose](): void {
    this.leg[Symbol.dispose]()
  }
}

/** Returns a leg that forwards to `leg`, except for `replaced`. */
export function decorateLeg(leg: HypervisorSocket, replaced: Partial<HypervisorSocket>): HypervisorSocket {
  return Object.assign(new ForwardingLeg(leg), replaced)
}

/** Looks at the hypervisor's bytes before they pass on, and copies what it keeps. Returns whether it wants to see more. */
export type Observe = (bytes: Buffer) => boolean

/** Returns a leg that shows `observe` the hypervisor's bytes for as long as it wants to see them. */
export function observeLeg(leg: HypervisorSocket, observe: Observe): HypervisorSocket {
  return new ObservedLeg(leg, observe)
}

class ObservedLeg extends ForwardingLeg {
  /** Released once it has seen enough, because a session may last for days. */
  #observe: Observe | undefined

  constructor(leg: HypervisorSocket, observe: Observe) {
    super(leg)
    this.#observe = observe
  }

  override take(taker: TakeBytes): void {
    this.leg.take(this.#observe ? (bytes) => this.#show(bytes, taker) : taker)
  }

  #show(bytes: Buffer, taker: TakeBytes): boolean {
    if (!this.#observe!(bytes)) {
      this.#observe = undefined
      this.leg.take(taker)
    }
    return taker(bytes)
  }
}
