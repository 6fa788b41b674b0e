/** Which WebSocket a console address dials: the access URLs of the API, WebSocket URLs, and noVNC's `path` parameter. */

/**
 * The WebSocket URL that `url` means, or `undefined` if it is not an address of a console.
 *
 * - `ws:` and `wss:` URLs are dialled as they are.
 * - An access URL dials its own host: `path` relative to the page's folder, as newer noVNC does, so that it also works
 *   behind a path prefix; a `token` beside it is added when `path` has none. Without either, the folder itself is
 *   dialled, where a cookie may carry the token.
 *
 * No parameter can lead to another host or port: `host`, `port` and `encrypt` are ignored, and a `path` to elsewhere is refused.
 *
 * @param base what a relative `url` is relative to, such as `document.baseURI`
 * @example socketAddress('http://h:6080/vnc_lite.html?path=%3Ftoken%3Dabc') // ws://h:6080/?token=abc
 * @example socketAddress('https://h/console/vnc.html?token=abc')            // wss://h/console/?token=abc
 */
export function socketAddress(url: string, base?: string): URL | undefined {
  const page = parse(url, base)
  if (page === undefined) return undefined
  if (page.protocol === 'ws:' || page.protocol === 'wss:') return dialable(page)
  const token = page.searchParams.getAll('token').at(-1)
  return pathAddress(page.searchParams.get('path') ?? '', page.href, token)
}

/**
 * The WebSocket URL of `path` on the host of `page`, or `undefined` if that would be another host.
 * @param token added as `?token=` unless `path` brings one
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

const parse = (url: string, base?: string) => URL.parse(url, base) ?? undefined
