/** The port for console auth tokens. */
import type { ConsoleType, Protocol } from '@oriel/contract'
import type { ConsoleAddress } from '../sources/source.ts'

/** The record of a token. Times are milliseconds since the epoch. */
export interface ConsoleAuthToken extends ConsoleAddress {
  readonly serverId: string
  readonly projectId: string
  readonly userId: string
  readonly protocol: Protocol
  readonly type: ConsoleType
  readonly tlsPort: number | null
  readonly internalAccessPath: string | null
  /** The base URL of the access URL that the caller got. */
  readonly accessUrlBase: string
  readonly createdAt: number
  readonly expiresAt: number
}

/** The input for a new token, which expires `ttlSeconds` from now. */
export interface ConsoleGrant
  extends ConsoleAddress,
    Omit<ConsoleAuthToken, keyof ConsoleAddress | 'createdAt' | 'expiresAt'> {
  readonly ttlSeconds: number
}

export interface ConsoleAuthTokenStore extends AsyncDisposable {
  /** Creates a token and stores its SHA-256 digest, not the token itself. Earlier tokens of the server stay valid. */
  authorize(grant: ConsoleGrant): Promise<{ readonly token: string; readonly expiresAt: number }>
  /** Returns the record of exactly this token, unless it has expired. */
  find(token: string): Promise<ConsoleAuthToken | undefined>
  /** Deletes exactly this token and returns whether it existed. */
  revoke(token: string): Promise<boolean>
  /** Deletes every token of a server and returns their number. */
  revokeServer(serverId: string): Promise<number>
  /** Deletes expired tokens and returns their number. */
  sweep(): Promise<number>
  /** Throws while the store is unavailable or read-only. The result may be up to a second old. */
  check(): Promise<void>
}
