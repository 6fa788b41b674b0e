/** The port for console auth tokens. */
import type { ConsoleRole, ConsoleType, Protocol } from '@oriel/contract'
import type { ConsoleAddress } from '../sources/source.ts'

/** The options of a token, which consoles that Nova created lack. */
export interface TokenOptions {
  readonly role: ConsoleRole
  /** A name for people. */
  readonly label: string | null
  /** Whether the token opens one console only. */
  readonly singleUse: boolean
  readonly invitationId: string | null
  /** Whether the page of its session may invite to it. Unlike the others, older versions of the API may ignore it. */
  readonly mayInvite: boolean
}

/** The record of a token. Times are milliseconds since the epoch. */
export interface ConsoleAuthToken extends ConsoleAddress, TokenOptions {
  /** Identifies the record, and opens no console. */
  readonly id: string
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

/** The input for a new token, which expires `ttlSeconds` from now. By default it has the role `control` and no options. */
export interface ConsoleGrant
  extends ConsoleAddress,
    Omit<ConsoleAuthToken, keyof ConsoleAddress | keyof TokenOptions | 'id' | 'createdAt' | 'expiresAt'>,
    Partial<TokenOptions> {
  readonly ttlSeconds: number
}

export interface CreatedToken {
  readonly token: string
  readonly id: string
  readonly expiresAt: number
}

export interface ConsoleAuthTokenStore extends AsyncDisposable {
  /** Creates a token and stores its SHA-256 digest, not the token itself. Earlier tokens of the server stay valid. */
  authorize(grant: ConsoleGrant): Promise<CreatedToken>
  /** Returns the record of exactly this token, unless it has expired. */
  find(token: string): Promise<ConsoleAuthToken | undefined>
  /**
   * Uses a single-use token up, and returns whether it was unused. Of concurrent calls, one succeeds. The first user may use
   * it again for `channelsMs`, for the other channels of its page.
   */
  use(id: string, user: string, channelsMs: number): Promise<boolean>
  /** Reverts one use of a token, because its console never opened. */
  release(id: string): Promise<void>
  /** Deletes the token with this id and returns whether it existed. */
  revoke(id: string): Promise<boolean>
  /** Deletes every token of a server and returns their number. */
  revokeServer(serverId: string): Promise<number>
  /** Deletes expired tokens and returns their number. */
  sweep(): Promise<number>
  /** Throws while the store is unavailable or read-only. The result may be up to a second old. */
  check(): Promise<void>
}
