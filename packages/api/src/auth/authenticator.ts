/** The port that turns a request's tokens into an identity. */

/** An authenticated caller. */
export interface Identity {
  readonly userId: string
  /** Absent if the token has no project. */
  readonly projectId?: string
  /** The caller owns all projects, so that a plain list of servers shows them all. Absent: it only owns `projectId`. */
  readonly everyProject?: true
  /** Names of roles, such as `member`, `reader`, `admin`, `service`. */
  readonly roles: readonly string[]
}

export interface AuthenticationRequest {
  /** `X-Auth-Token`, or `X-Storage-Token` if the former is absent. */
  readonly token?: string
  /** `X-Service-Token`: a bad one refuses the request even beside a good `token`. */
  readonly serviceToken?: string
  readonly headers: Headers
  readonly signal?: AbortSignal
}

export interface Authenticator extends AsyncDisposable {
  /** The value of `WWW-Authenticate` on a 401, such as `Keystone uri="https://keystone.example/v3"`. */
  readonly wwwAuthenticate: string
  /** Callers need no credentials, so the API only accepts programs and pages of this machine. */
  readonly unauthenticated?: true
  /**
   * @throws Unauthenticated when the tokens are missing or not valid.
   * @throws AuthUnavailable when the identity service does not respond.
   */
  authenticate(request: AuthenticationRequest): Promise<Identity>
  /** Throws while no caller can be authenticated. Absent: always ready. */
  check?(signal?: AbortSignal): Promise<void>
  /** Throws if the identity service would refuse to authenticate callers for the API. Absent: {@link check} shows it. */
  verify?(signal?: AbortSignal): Promise<void>
}

/** Thrown when the client has no valid token: 401. The message only goes to the log. */
export class Unauthenticated extends Error {
  override readonly name = 'Unauthenticated'
}

/** Thrown when the identity service does not respond: 503 with `Retry-After`. The message only goes to the log. */
export class AuthUnavailable extends Error {
  override readonly name = 'AuthUnavailable'
  readonly retryAfterSeconds: number

  constructor(message: string, retryAfterSeconds = 5, options?: ErrorOptions) {
    super(message, options)
    this.retryAfterSeconds = retryAfterSeconds
  }
}
