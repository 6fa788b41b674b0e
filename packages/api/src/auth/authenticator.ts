/** The port that turns a request's tokens into an identity. Adapters stand beside it. */

/** Who asks. */
export interface Identity {
  readonly userId: string
  /** Absent for a token without a project. */
  readonly projectId?: string
  /** Every project is the caller's, so that a plain list of servers shows them all. Absent: `projectId` alone is. */
  readonly everyProject?: true
  /** Names of roles, such as `member`, `reader`, `admin`, `service`. */
  readonly roles: readonly string[]
}

export interface AuthenticationRequest {
  /** `X-Auth-Token`, or `X-Storage-Token` when that is absent. */
  readonly token?: string
  /** `X-Service-Token`: a bad one refuses the request even beside a good `token`. */
  readonly serviceToken?: string
  readonly headers: Headers
  readonly signal?: AbortSignal
}

export interface Authenticator extends AsyncDisposable {
  /** The value of `WWW-Authenticate` on a 401, such as `Keystone uri="https://keystone.example/v3"`. */
  readonly wwwAuthenticate: string
  /** Whether callers need no credentials; then only programs and pages of this machine may call. */
  readonly unauthenticated?: true
  /**
   * @throws Unauthenticated when the tokens are missing or not valid.
   * @throws AuthUnavailable when the identity service does not answer.
   */
  authenticate(request: AuthenticationRequest): Promise<Identity>
  /** Throws while no caller can be authenticated. Absent: always ready. */
  check?(signal?: AbortSignal): Promise<void>
}

/** The client has no valid token: 401. The message is for the log. */
export class Unauthenticated extends Error {
  override readonly name = 'Unauthenticated'
}

/** The identity service does not answer: 503 with `Retry-After`. The message is for the log. */
export class AuthUnavailable extends Error {
  override readonly name = 'AuthUnavailable'
  readonly retryAfterSeconds: number

  constructor(message: string, retryAfterSeconds = 5, options?: ErrorOptions) {
    super(message, options)
    this.retryAfterSeconds = retryAfterSeconds
  }
}
