/** The rights of a native SPICE ticket. */
import type { ConsoleRole } from '@oriel/contract'
import type { SessionRecord } from '../../session/open-session.ts'
import type { SpiceTarget } from './target.ts'

/** The proxy's address as the client's `.vv` file contains it. */
export interface PublicEndpoint {
  readonly host: string
  readonly port?: number
  readonly tlsPort?: number
}

/** The console and the client that a ticket was created for. */
export interface Grant {
  readonly instance: string
  readonly role: ConsoleRole
  readonly label?: string
  readonly target: SpiceTarget
  /** The digest of the console auth token. */
  readonly tokenDigest: string
  /** The address of the client that downloaded the file. */
  readonly client: string
  readonly listener: string
  readonly endpoint: PublicEndpoint
  readonly expiresAt?: Date | undefined
  /** The authority's record, shared by all sessions that the ticket opens. */
  readonly record?: SessionRecord | undefined
}
