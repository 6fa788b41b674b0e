/** What a ticket for native SPICE grants. */
import type { SessionRecord } from '../../session/open-session.ts'
import type { SpiceTarget } from './target.ts'

/** Where the client finds the proxy: the very words of its `.vv`. */
export interface PublicEndpoint {
  readonly host: string
  readonly port?: number
  readonly tlsPort?: number
}

/** What a ticket was minted for. */
export interface Grant {
  readonly instance: string
  readonly target: SpiceTarget
  /** Of the console auth token. */
  readonly tokenDigest: string
  /** Whose request minted it. */
  readonly client: string
  readonly listener: string
  readonly endpoint: PublicEndpoint
  readonly expiresAt?: Date | undefined
  /** The authority's record: one for all that the ticket opens. */
  readonly record?: SessionRecord | undefined
}
