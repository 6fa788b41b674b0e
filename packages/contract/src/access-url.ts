/** Access URLs: where a person opens a console, with the console auth token inside. */
import { type ConsoleType, consoleTypes } from './console-types.ts'

/**
 * The access URL of a console.
 *
 * For noVNC the token goes inside the `path` query parameter of `baseUrl`, because noVNC dials whatever `path` says: an
 * existing `path` is extended, other parameters and the fragment are kept, empty parameters dropped and everything is
 * re-encoded as Nova does. Every other type gets `?token=` appended as it is (Nova rules 12.1, 12.2).
 */
export function accessUrl(type: ConsoleType, baseUrl: string, token: string): string {
  return consoleTypes[type].tokenIn === 'path' ? tokenInPath(baseUrl, token) : `${baseUrl}?token=${token}`
}

function tokenInPath(baseUrl: string, token: string): string {
  const { base, query, fragment } = split(baseUrl)
  const parameters = new Map([...new URLSearchParams(query)].filter(([, value]) => value !== ''))
  parameters.set('path', `${parameters.get('path') ?? ''}?token=${token}`)
  return `${base}?${new URLSearchParams([...parameters])}${fragment}`
}

// By hand, since `URL` would rewrite the base: add a slash, lower the host's case, drop a default port.
function split(url: string): { base: string; query: string; fragment: string } {
  const hash = url.indexOf('#') < 0 ? url.length : url.indexOf('#')
  const mark = url.slice(0, hash).indexOf('?')
  const end = mark < 0 ? hash : mark
  return { base: url.slice(0, end), query: url.slice(end + 1, hash), fragment: url.slice(hash) }
}

/**
 * The token of an access URL, in either form, or `undefined`. The last of several wins, as at the proxy.
 * @example tokenOf('http://h:6080/vnc_lite.html?path=%3Ftoken%3Dabc') // 'abc'
 */
export function tokenOf(url: string): string | undefined {
  const parameters = new URLSearchParams(split(url).query)
  const path = parameters.get('path')
  const inPath = path === null ? undefined : new URLSearchParams(split(path).query).getAll('token').at(-1)
  return inPath ?? parameters.getAll('token').at(-1)
}
