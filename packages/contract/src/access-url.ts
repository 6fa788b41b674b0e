/** Access URLs, which open a console and contain its console auth token. */
import { type ConsoleType, consoleTypes } from './console-types.ts'
import { SERVER_PARAMETER } from './server-parameter.ts'

/**
 * The response header in which Oriel's API tells when a created access URL expires, in ISO 8601 and UTC. Nova's body has no
 * member for it.
 */
export const EXPIRES_HEADER = 'Oriel-Console-Expires'

/**
 * Builds the access URL of a console.
 *
 * For noVNC the token goes into the `path` query parameter of `baseUrl`, which noVNC dials. As in Nova, an existing `path` is
 * extended, other parameters and the fragment are kept, empty parameters are dropped, and everything is encoded again. Every
 * other type gets an unencoded `?token=` (Nova rules 12.1, 12.2).
 *
 * @param serverId added as {@link SERVER_PARAMETER}, before the token: some clients take all that follows `token=` for the
 *   token
 */
export function accessUrl(type: ConsoleType, baseUrl: string, token: string, serverId?: string): string {
  const server = serverId === undefined ? '' : `${SERVER_PARAMETER}=${encodeURIComponent(serverId)}&`
  const query = `?${server}token=${token}`
  return consoleTypes[type].tokenIn === 'path' ? queryInPath(baseUrl, query) : baseUrl + query
}

function queryInPath(baseUrl: string, added: string): string {
  const { base, query, fragment } = split(baseUrl)
  const parameters = new Map([...new URLSearchParams(query)].filter(([, value]) => value !== ''))
  parameters.set('path', (parameters.get('path') ?? '') + added)
  return `${base}?${new URLSearchParams([...parameters])}${fragment}`
}

// Splits the URL without `URL`, which would add a slash, change the host to lower case and drop a default port.
function split(url: string): { base: string; query: string; fragment: string } {
  const hash = url.indexOf('#') < 0 ? url.length : url.indexOf('#')
  const mark = url.slice(0, hash).indexOf('?')
  const end = mark < 0 ? hash : mark
  return { base: url.slice(0, end), query: url.slice(end + 1, hash), fragment: url.slice(hash) }
}

/**
 * Returns the token of an access URL, in either form, or `undefined`. The last of several wins, as in the proxy.
 * @example tokenOf('http://h:6080/vnc_lite.html?path=%3Ftoken%3Dabc') // 'abc'
 */
export function tokenOf(url: string): string | undefined {
  const parameters = new URLSearchParams(split(url).query)
  const path = parameters.get('path')
  const inPath = path === null ? undefined : new URLSearchParams(split(path).query).getAll('token').at(-1)
  return inPath ?? parameters.getAll('token').at(-1)
}
