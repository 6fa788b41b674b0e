/** The port that authenticates a client's requests, and its two simplest implementations. */

import { SettingsError } from './errors.ts'

/** Authenticates requests. Implementations keep secrets in closures, so that printing the object does not show them. */
export interface Auth {
  /** Returns the headers for a request, such as `X-Auth-Token`. May sign in first. */
  headers(signal?: AbortSignal): Promise<Record<string, string>>
  /**
   * Called when the API responded 401 to `headers`. The next `headers()` must return new ones, with which the call is repeated
   * once. Without this method a 401 is final.
   */
  rejected?(headers: Readonly<Record<string, string>>): void
  /**
   * Returns the compute endpoint from the signed-in user's catalogue. With this method, `createClient` needs no `endpoint`.
   */
  endpoint?(signal?: AbortSignal): Promise<string>
}

/** The header that carries a token. */
export const TOKEN_HEADER = 'X-Auth-Token'

/**
 * Sends a token that the caller already has, such as that of a portal's signed-in user.
 * @throws SettingsError for a token that no header can carry, such as two lines; the message does not contain it
 */
export function staticToken(token: string): Auth {
  try {
    new Headers({ [TOKEN_HEADER]: token })
  } catch {
    // The error of `fetch` would quote the token.
    throw new SettingsError('The token contains a character that is not allowed in a header, such as a line break')
  }
  return { headers: async () => ({ [TOKEN_HEADER]: token }) }
}

/** Sends no token, for an API without authentication. */
export const noAuth = (): Auth => ({ headers: async () => ({}) })
