/** What an element dials, and the key by which a page names a session to the proxy. */

/** What a session dials. */
export interface ConsoleAddress {
  readonly address: URL
  /** The key by which this page names the session to the proxy. */
  readonly pageKey: string
  /** The ticket to dial with. Absent: `address` has the credential, or names its cookie. */
  readonly ticket?: string | undefined
  /** The console's address as the page gave it, which stays the same when the credential changes. */
  readonly console: string
}

const bytes = 16

/** Returns a new key: 128 random bits in base64url. Also works on pages without a secure context. */
export function newPageKey(): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes))
  return btoa(String.fromCharCode(...random))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '')
}
