/** The port for servers and their consoles. */
import type { ConsoleType, Protocol } from '@oriel/contract'
import type { Secret } from '@oriel/runtime'
import type { Server } from './server.ts'

/** The address of a console, as seen from the proxy. */
export interface ConsoleAddress {
  /** A name, an address, or `unix:` and the path of a socket on the proxy's host. */
  readonly host: string
  /** Null if only `tlsPort` is open, and for a Unix socket. */
  readonly port: number | null
  /** SPICE's TLS port. */
  readonly tlsPort?: number | null
  /** The target of the CONNECT request that opens the console (WebMKS). */
  readonly internalAccessPath?: string | null
}

/** A console as a source knows it at this moment. */
export interface SourceConsole extends ConsoleAddress {
  /** The password that the hypervisor asks of clients. Absent without a password, if the source does not know it, or without `withPassword`. */
  readonly password?: Secret
}

export interface CallOptions {
  /** Aborts when the client disconnects or the deadline passes. */
  readonly signal?: AbortSignal
}

export interface ConsoleOptions extends CallOptions {
  /** Whether to return the password too. Default: no, so that a password is read only for a proxy that is about to dial. */
  readonly withPassword?: boolean
}

/**
 * A change that invalidates the server's console addresses: it `stopped`, was removed (`gone`), got another owner
 * (`reassigned`), or its consoles have another address (`moved`). A restart in place is no change.
 */
export interface ServerChange {
  readonly serverId: string
  readonly kind: 'stopped' | 'gone' | 'reassigned' | 'moved'
}

/** The serial console of a running server, as its source last saw it. */
export interface SerialPort {
  readonly server: Server
  readonly address: ConsoleAddress
}

/**
 * A source of servers, such as a hypervisor. Every method may throw `SourceError`, or `SourceUnavailable` while the
 * hypervisor does not respond. Any other error becomes a 500.
 */
export interface Source extends AsyncDisposable {
  /** For logs, checks and faults, such as `static`. */
  readonly name: string
  /** Returns the servers of all projects, without deleted ones. */
  list(options?: CallOptions): Promise<readonly Server[]>
  /** Returns the server with exactly this id, or `undefined`. */
  find(id: string, options?: CallOptions): Promise<Server | undefined>
  /** Returns the address of the server's console of `protocol`, to which `type` belongs. */
  console(server: Server, protocol: Protocol, type: ConsoleType, options?: ConsoleOptions): Promise<SourceConsole>
  /**
   * Returns the protocols of the server's consoles as the source last saw them, without asking its hypervisor; while it is off,
   * those that it would have. Absent, or `undefined`: the source does not know.
   */
  protocols?(server: Server): readonly Protocol[] | undefined
  /** Returns the console's log as bytes or text; the caller cuts lines and removes control characters. Absent: 501. */
  output?(server: Server, options?: CallOptions): Promise<Uint8Array | string>
  /**
   * Whether the server has stopped and the source delays the report: if the same server runs again at the same
   * addresses within seconds, nothing has changed. Its tokens open nothing meanwhile. Absent: stops are reported at once.
   */
  mayRestart?(id: string): boolean
  /**
   * Returns the server with this id if it is switched off, as the source last saw it, also if its end removed it from the
   * list. `undefined` for a server that runs, has left for another host, or is unknown. Absent: the source does not know.
   */
  switchedOff?(id: string): Pick<Server, 'projectId'> | undefined
  /**
   * Returns the serial consoles of all servers that run or may restart, without asking their hypervisors. A server whose guest is paused
   * counts as running; one that another process is about to run, or runs already, does not. Absent: there are none.
   */
  serialPorts?(): Promise<readonly SerialPort[]>
  /** Calls `listener` when `serialPorts` may have changed, until disposed of. Absent: they never change. */
  onSerialPorts?(listener: () => void): Disposable
  /** The sources that this one combines. Absent: it is a single source. */
  readonly parts?: readonly Source[]
  /**
   * Throws while the source is unavailable, and `SourcePartlyUnavailable` if it responds for some of its servers. A combined
   * source is available while one of its `parts` is. Absent: always ready.
   */
  check?(options?: CallOptions): Promise<void>
  /** Calls `listener` as soon as the source notices a change, until disposed of. Absent: the source never changes. */
  subscribe?(listener: (change: ServerChange) => void): Disposable
}
