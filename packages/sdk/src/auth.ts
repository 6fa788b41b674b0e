/** Who is calling: the port through which a client gets its token, and the two simplest answers. */

/** Signs requests. Its secrets live in closures, so that printing one shows none. */
export interface Auth {
  /** The headers of a request, such as `X-Auth-Token`; may sign in first. */
  headers(signal?: AbortSignal): Promise<Record<string, string>>
  /**
   * Told when the API answered 401 to `headers`: the next `headers()` must be fresh, and the call is repeated once.
   * Without it a 401 is final.
   */
  rejected?(headers: Readonly<Record<string, string>>): void
  /** The compute endpoint, from the signed-in user's catalogue. With it, `createClient` needs no `endpoint`. */
  endpoint?(signal?: AbortSignal): Promise<string>
}

/** The header that carries a token. */
export const TOKEN_HEADER = 'X-Auth-Token'

/** A token that was made elsewhere, such as the one of a portal's signed-in user. */
export const staticToken = (token: string): Auth => ({ headers: async () => ({ [TOKEN_HEADER]: token }) })

/** No token at all, for an API that runs without authentication. */
export const noAuth = (): Auth => ({ headers: async () => ({}) })
