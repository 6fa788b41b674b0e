/** What differs between console types, from the dial to the relay: each type is one file beside this one. */

import type { Logger } from '@oriel/runtime'
import type { WebSocket } from 'ws'
import type { Admission } from '../authority/authority.ts'
import type { LearntNames } from '../authority/instance-names.ts'
import type { HypervisorSocket, PlainLeg } from '../hypervisor/leg.ts'

/** Whether the guest must be the instance, and what happens when it is not. The key `hypervisor.identity`. */
export type IdentitySetting = 'off' | 'warn' | 'enforce'

/** How long the handshakes of one side may take, and what calls them off. */
export interface HandshakeLimits {
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** A leg after its handshake, and what it sent beyond it. */
export interface Shaken {
  readonly rest: Buffer
}

/** The leg to the hypervisor after its handshake. */
export interface Secured extends Shaken {
  /** The leg from now on, where something was put around it. Default: the one that was dialled. */
  readonly hypervisor?: HypervisorSocket
}

/** What a console is opened for. */
export interface Opening {
  readonly admission: Admission
  /** The query of the client's request, the token among it. */
  readonly query: URLSearchParams
  /** The instance's names, asked for since before the dial, where the console `asksNames`. */
  readonly names?: Promise<LearntNames> | undefined
  /** Says what the console is opened for with every record. */
  readonly log: Logger
}

export interface Console {
  /** WebSocket subprotocols that may be chosen, the preferred one first. */
  readonly subprotocols: readonly string[]
  /** Pages by their paths: several paths may lead to one page. */
  readonly pages: Readonly<Record<string, string>>
  /** Whether text frames are input too, as for a terminal; otherwise they end the session. */
  readonly acceptsText: boolean
  /** Whether it compares the guest with the instance's names. Default: no. */
  readonly asksNames?: boolean
  /**
   * Secures the leg to the hypervisor, before 101.
   * @throws Refused
   */
  secure(hypervisor: PlainLeg, limits: HandshakeLimits, opening: Opening): Promise<Secured>
  /**
   * Takes the client to where the relay begins, after 101.
   * @throws ClientFault
   */
  greet(client: WebSocket, limits: HandshakeLimits): Promise<Shaken>
}

/** For a side without a handshake: the relay begins at once. */
export const nothingToShake = async (): Promise<Shaken> => ({ rest: Buffer.alloc(0) })

/** The client did not get through its handshake: by its own fault, or because it is gone or silent. */
export class ClientFault extends Error {
  override readonly name = 'ClientFault'
  readonly reason: 'protocol_error' | 'client_lost' | 'client_closed'

  constructor(reason: ClientFault['reason'], detail: string, options?: ErrorOptions) {
    super(detail, options)
    this.reason = reason
  }
}
