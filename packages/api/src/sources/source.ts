/** The port through which the API learns of servers and their consoles. Adapters stand beside it. */
import type { ConsoleType, Protocol } from '@oriel/contract'
import type { Server } from './server.ts'

/** Where a console listens, as seen from the proxy. */
export interface ConsoleAddress {
  readonly host: string
  /** Null when only `tlsPort` is open. */
  readonly port: number | null
  /** SPICE's TLS port. */
  readonly tlsPort?: number | null
  /** What the proxy must CONNECT to before the console speaks (WebMKS). */
  readonly internalAccessPath?: string | null
}

export interface CallOptions {
  /** Aborted when the caller has gone or the deadline has passed. */
  readonly signal?: AbortSignal
}

/**
 * A change that invalidates the server's console addresses: it `stopped`, was removed (`gone`), or its address or owner
 * changed (`moved`).
 */
export interface ServerChange {
  readonly serverId: string
  readonly kind: 'stopped' | 'gone' | 'moved'
}

/** A place that servers come from. Every method may throw `SourceError`, or `SourceUnavailable` while it
 * cannot tell; any other error becomes a 500. */
export interface Source extends AsyncDisposable {
  /** For logs, checks and faults, such as `static`. */
  readonly name: string
  /** Every server, of whatever project; never a deleted one. */
  list(options?: CallOptions): Promise<readonly Server[]>
  /** The server with exactly this id, or `undefined`. */
  find(id: string, options?: CallOptions): Promise<Server | undefined>
  /** Where the console of `protocol` is. `type` is one that fits the protocol. */
  console(server: Server, protocol: Protocol, type: ConsoleType, options?: CallOptions): Promise<ConsoleAddress>
  /** What the console has printed, as bytes or as text; the caller counts lines and cleans it. Absent: 501. */
  output?(server: Server, options?: CallOptions): Promise<Uint8Array | string>
  /** The sources that this one is made of. Absent: it is one itself. */
  readonly parts?: readonly Source[]
  /**
   * Throws while the source cannot answer: `SourcePartlyUnavailable` when it can for some of its servers. One that is made
   * of others answers as long as one of them does; ask `parts` for the rest. Absent: always ready.
   */
  check?(options?: CallOptions): Promise<void>
  /** Calls `listener` at each change, as soon as the source learns of it, until disposed of. Absent: nothing ever changes. */
  subscribe?(listener: (change: ServerChange) => void): Disposable
}
