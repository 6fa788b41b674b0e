/** Creates the keys by which a page names its sessions to the proxy. */

const bytes = 16

/** Returns a new key: 128 random bits in base64url. Also works on pages without a secure context. */
export function newPageKey(): string {
  const random = crypto.getRandomValues(new Uint8Array(bytes))
  return btoa(String.fromCharCode(...random))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '')
}
