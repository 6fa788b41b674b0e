/** The port that keeps console auth tokens: who may connect to which console, and until when. */
import type { ConsoleType, Protocol } from '@oriel/contract'
import type { ConsoleAddress } from '../sources/source.ts'

/** What is kept with a token. Times are milliseconds since the epoch. */
export interface ConsoleAuthToken extends ConsoleAddress {
  readonly serverId: string
  readonly projectId: string
  readonly userId: string
  readonly protocol: Protocol
  readonly type: ConsoleType
  readonly tlsPort: number | null
  readonly internalAccessPath: string | null
  /** The base URL of the access URL that was handed out. */
  readonly accessUrlBase: string
  readonly createdAt: number
  readonly expiresAt: number
}

/** What to make a token for. It expires `ttlSeconds` after now. */
export interface ConsoleGrant
  extends ConsoleAddress,
    Omit<ConsoleAuthToken, keyof ConsoleAddress | 'createdAt' | 'expiresAt'> {
  readonly ttlSeconds: number
}

export interface ConsoleAuthTokenStore extends AsyncDisposable {
  /** Makes a new token; only its SHA-256 digest is kept. Earlier tokens of the same server stay valid. */
  authorize(grant: ConsoleGrant): Promise<{ readonly token: string; readonly expiresAt: number }>
  /** The grant of exactly this token, if it is still valid: while its expiry is later than now. */
  find(token: string): Promise<ConsoleAuthToken | undefined>
  /** Removes exactly this token and says whether there was one. */
  revoke(token: string): Promise<boolean>
  /** Removes every token of a server and says how many there were. */
  revokeServer(serverId: string): Promise<number>
  /** Removes expired tokens and says how many there were. */
  sweep(): Promise<number>
  /** Throws while the store cannot answer or is read-only. The result may be up to a second old. */
  check(): Promise<void>
}
