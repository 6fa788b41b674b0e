/** Derives WebSocket addresses from access URLs, from WebSocket URLs, and from noVNC's `path` parameter. */
import { RESUME_PARAMETER } from './resume.ts'
import { SERVER_PARAMETER } from './server-parameter.ts'

/**
 * Returns the WebSocket URL for a console address, or `undefined` if `url` is not a console address.
 *
 * - A `ws:` or `wss:` URL is returned without its fragment and credentials.
 * - An access URL leads to its own host. Its `path` parameter is resolved against the page's folder, as newer noVNC
 *   does, so that it also works behind a path prefix. If `path` has no token, the URL's `token` parameter is added.
 *   Without both parameters the folder itself is returned: a cookie may carry the token. The parameter `resume` of
 *   a console's page is added if there is no token, and `server` in any case: balancers may choose the proxy by it.
 *
 * No parameter can lead to another host or port: `host`, `port` and `encrypt` are ignored, and for a `path` with
 * another origin the result is `undefined`.
 *
 * @param base the URL against which a relative `url` is resolved, such as `document.baseURI`
 * @example socketAddress('http://h:6080/vnc_lite.html?path=%3Ftoken%3Dabc') // ws://h:6080/?token=abc
 * @example socketAddress('https://h/console/vnc.html?token=abc')            // wss://h/console/?token=abc
 */
export function socketAddress(url: string, base?: string): URL | undefined {
  const page = parse(url, base)
  if (page === undefined) return undefined
  if (page.protocol === 'ws:' || page.protocol === 'wss:') return dialable(page)
  const token = page.searchParams.getAll('token').at(-1)
  const address = pathAddress(page.searchParams.get('path') ?? '', page.href, token)
  if (address === undefined) return undefined
  if (!address.searchParams.has('token')) inherit(address, page, RESUME_PARAMETER)
  inherit(address, page, SERVER_PARAMETER)
  return address
}

/** Adds a parameter of the page unless the address has its own. */
function inherit({ searchParams }: URL, page: URL, name: string): void {
  const value = page.searchParams.get(name)
  if (value !== null && !searchParams.has(name)) searchParams.set(name, value)
}

/**
 * Returns the WebSocket URL of `path`, resolved against the folder of `page`, or `undefined` if its origin is not that
 * of `page`.
 * @param token added as `?token=` unless `path` has a token
 */
export function pathAddress(path: string, page: string, token?: string): URL | undefined {
  const folder = parse('.', page)
  const address = folder && parse(path, folder.href)
  if (address === undefined || address.origin !== folder?.origin || !/^https?:$/.test(address.protocol))
    return undefined
  if (token !== undefined && !address.searchParams.has('token')) address.searchParams.set('token', token)
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:'
  return dialable(address)
}

function dialable(address: URL): URL {
  address.hash = ''
  address.username = ''
  address.password = ''
  return address
}

const parse = (url: string, base?: string) => (URL.canParse(url, base) ? new URL(url, base) : undefined)
