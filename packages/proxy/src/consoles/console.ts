/** The behaviour of a WebSocket console type, from the dial to the relay. Each type is one file beside this one. */
import type { Logger } from '@oriel/runtime'
import type { WebSocket } from 'ws'
import type { Admission } from '../authority/authority.ts'
import type { LearntNames } from '../authority/instance-names.ts'
import type { IdentitySetting } from '../hypervisor/config.ts'
import type { InputPermission } from '../hypervisor/input-permission.ts'
import type { HypervisorSocket, PlainLeg, SecuredLeg, SharedLeg } from '../hypervisor/leg.ts'
import type { ProtocolRule } from './protocol-guard.ts'

/** The time limit of the handshake with one side, and what aborts it. */
export interface HandshakeLimits {
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** The end of a handshake. */
export interface Handshaken {
  /** The bytes that the other side has sent beyond its handshake. */
  readonly rest: Buffer
}

/** The leg to the hypervisor after its handshake. */
export interface Secured extends Handshaken {
  /** The leg to use from now on. Default: the dialled one. */
  readonly hypervisor?: HypervisorSocket
  /** The protocols that may follow, if the handshake has excluded some. Default: by the descriptor's `guestCheck`. */
  readonly rule?: ProtocolRule
}

/** The request that a console is dialled for. */
export interface DialledOpening {
  readonly admission: Admission
  /** The query of the client's request, with the token. */
  readonly query: URLSearchParams
  readonly identity: IdentitySetting
  /** The instance's names, requested before the dial, if the guest is compared with them. */
  readonly names?: Promise<LearntNames> | undefined
  /** A logger that adds listener, client and instance to every record. */
  readonly log: Logger
}

/** The request of the session that has the console's leg to itself. */
export interface Opening extends DialledOpening {
  /** Whether the session may send input, which may change while it lasts. */
  readonly input: InputPermission
}

/** The place of an instance's console. */
export type ConsolePlace = Pick<Admission, 'instance' | 'host' | 'port' | 'socket'>

/** Follows consoles whose machines move to another host. */
export interface ConsoleMover {
  /**
   * Resolves with the place of a console once no migration is in progress, which may be the same as before; with `off` if its
   * machine is switched off, and `undefined` if the authority names no place. Never rejects.
   * @param sessionId a session of the console, by which to ask
   */
  find(console: ConsolePlace, sessionId: string): Promise<ConsolePlace | 'off' | undefined>
  /** Resolves with whether a session may go on there. Never rejects. */
  admits(console: ConsolePlace, sessionId: string): Promise<boolean>
  /**
   * Dials the console and secures the leg, as for the first session, and holds the console.
   * @param session resolves with one that may go on there, for which the proxy holds the console
   * @throws Refused; the signal's reason once it aborts
   */
  open(console: ConsolePlace, session: Promise<string>, signal: AbortSignal): Promise<OpenedShare>
  /** Reports that the sessions of a console go on at another place. */
  reached(from: ConsolePlace, to: ConsolePlace): void
}

/** A session that joins a leg which it shares with others. */
export interface SharedOpening extends Pick<Opening, 'admission' | 'query'> {
  /** The session, as the authority knows it. Absent: the proxy itself stays attached to the console. */
  readonly sessionId?: string
  /** Absent: the authority cannot say where machines are, and the leg ends with its connection. */
  readonly mover?: ConsoleMover | undefined
}

/** A leg that all sessions of a console share. */
export interface OpenedShare extends SecuredLeg {
  /** Keeps other proxies from dialling the console. Disposed once the leg is closed for good. */
  readonly hold?: Disposable | undefined
}

export interface Console {
  /** WebSocket subprotocols that may be chosen, the preferred one first. */
  readonly subprotocols: readonly string[]
  /** Whether text frames are input, as for a terminal; otherwise they end the session. */
  readonly acceptsText: boolean
  /**
   * Does the handshake with the hypervisor, before 101.
   * @throws Refused
   */
  secure(hypervisor: PlainLeg, limits: HandshakeLimits, opening: DialledOpening): Promise<Secured>
  /**
   * Joins the leg that all sessions of this console share. Absent: each session has its own.
   * @param open dials the console and secures the leg; called for the first session
   * @throws Refused; the signal's reason once it aborts
   */
  share?(
    session: SharedOpening,
    open: (signal: AbortSignal) => Promise<OpenedShare>,
    signal: AbortSignal,
  ): Promise<SharedLeg>
  /** Returns the last output of a console that sessions share, up to `maxBytes`; `undefined` if it is not known. */
  output?(console: Pick<Admission, 'instance' | 'host' | 'port'>, maxBytes: number): Buffer | undefined
  /** Forgets the output of a console that sessions share, because it has another owner. Absent: nothing is kept. */
  forget?(console: Pick<Admission, 'instance' | 'host' | 'port'>): void
  /**
   * Decorates the leg so that it withholds the client's input while `input` forbids it. Absent: the type cannot be watched.
   * @param early the bytes that were read from `leg` before
   */
  limitInput?(leg: HypervisorSocket, input: InputPermission, early: Buffer): HypervisorSocket
  /**
   * Does the handshake with the client, after 101.
   * @throws ClientFault
   */
  greet(client: WebSocket, limits: HandshakeLimits): Promise<Handshaken>
}

/** A console whose guest shows its name or UUID. */
export interface IdentifyingConsole extends Console {
  /**
   * Compares the guest with the instance. Called unless `hypervisor.identity` is `off`.
   * @throws Refused
   */
  identify(leg: SecuredLeg, limits: HandshakeLimits, opening: IdentifiedOpening): Promise<SecuredLeg>
}

export interface IdentifiedOpening extends DialledOpening {
  readonly identity: Exclude<IdentitySetting, 'off'>
}

/** The handshake of a side without one: the relay begins at once. */
export const noHandshake = async (): Promise<Handshaken> => ({ rest: Buffer.alloc(0) })

/** Thrown when the client's handshake fails: the client violated the protocol, left, or was silent. */
export class ClientFault extends Error {
  override readonly name = 'ClientFault'
  readonly reason: 'protocol_error' | 'client_lost' | 'client_closed'

  constructor(reason: ClientFault['reason'], detail: string, options?: ErrorOptions) {
    super(detail, options)
    this.reason = reason
  }
}
