/** Derives the address of a console's WebSocket from its access URL, like the pages that the URL leads to. */
import { SettingsError } from '@oriel/sdk'

/**
 * Returns the WebSocket address of a console.
 *
 * - A `ws:` or `wss:` URL is the address itself, without fragment and credentials.
 * - Any other access URL leads to its own host. Its `path` parameter is resolved against the page's folder, as noVNC does, and
 *   gets the URL's `token` parameter unless it has one. Without both the folder itself is the address.
 *
 * No parameter leads to another host or port: `host`, `port` and `encrypt` are ignored.
 *
 * @throws SettingsError for any other URL. The message does not contain it, because it may have a token
 * @example socketAddress('http://h:6080/vnc_lite.html?path=%3Ftoken%3Dabc') // ws://h:6080/?token=abc
 */
export function socketAddress(url: string): URL {
  const page = URL.canParse(url) ? new URL(url) : undefined
  if (page === undefined) throw new SettingsError('The URL of the console is malformed')
  const address = /^wss?:$/.test(page.protocol) ? page : addressOf(page)
  address.hash = ''
  address.username = ''
  address.password = ''
  return address
}

function addressOf(page: URL): URL {
  if (!/^https?:$/.test(page.protocol)) throw new SettingsError(`A console cannot be opened over ${page.protocol}`)
  const path = page.searchParams.get('path') ?? ''
  const folder = new URL('.', page).href
  const address = URL.canParse(path, folder) ? new URL(path, folder) : undefined
  if (address?.origin !== page.origin) throw new SettingsError('The path parameter of the URL leads to another host')
  const token = page.searchParams.getAll('token').at(-1)
  if (token !== undefined && !address.searchParams.has('token')) address.searchParams.set('token', token)
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:'
  return address
}
