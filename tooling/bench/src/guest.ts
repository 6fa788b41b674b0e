/** The parts around the measured proxies: consoles, authority, folder. */
import type { Part } from './fork.ts'

/** The behaviour of a console after a client has connected; see `parts/hypervisor.ts`. */
export type Guest = 'silent' | 'echo' | 'stream' | 'offer' | 'hang'

/** Which leg of a session has TLS: none, that of the client (wss), or that of the console (VeNCrypt). */
export type Secured = 'none' | 'client' | 'console'

export interface Lab extends AsyncDisposable {
  readonly authority: Part
  readonly hypervisor: Part
  /** The folder for configurations and logs. */
  readonly folder: string
  /** A folder of `temporaryPki`. Absent if no leg has TLS. */
  readonly pki?: string
}

/** How a candidate is started. */
export interface StartOptions {
  readonly guest: Guest
  /** For candidates that run on Node. Default: none. */
  readonly nodeArgs?: readonly string[]
  /** Raises the deadlines of Oriel's proxy. Default: no. */
  readonly patient?: boolean
  /** Default: none. */
  readonly secured?: Secured
}
