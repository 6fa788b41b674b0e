/** Unix sockets as addresses of consoles: in place of a host `unix:` and the socket's path, and no port. */

const SCHEME = 'unix:'
/** The size of `sun_path` on Linux, without its NUL (unix(7)). */
const MAX_PATH_BYTES = 107
/** An absolute path without empty segments, `.`, `..` or control characters. */
const PATH = /^(?:\/(?!\.{1,2}(?:\/|$))[^/\p{Cc}]+)+$/u

/** Whether `host` has the scheme of Unix sockets, with a usable path or not. */
export const isUnixHost = (host: string): boolean => host.startsWith(SCHEME)

/** Returns the path in a host of the form `unix:/path`, or `undefined` for any other host. */
export function unixSocketPath(host: string): string | undefined {
  if (!isUnixHost(host)) return undefined
  const path = host.slice(SCHEME.length)
  return PATH.test(path) && Buffer.byteLength(path) <= MAX_PATH_BYTES ? path : undefined
}

/** @throws TypeError with what is wrong and what to write, in words that follow the quoted text */
export function parseUnixHost(text: string): string {
  if (unixSocketPath(text) !== undefined) return text
  const remedy = `give an absolute path of at most ${MAX_PATH_BYTES} bytes, such as unix:/run/oriel/web-1.sock`
  throw new TypeError(`is not a Unix socket, ${remedy}`)
}
