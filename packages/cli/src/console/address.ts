/** Finds the WebSocket of a console from its access URL. */

/**
 * Returns the WebSocket URL that the page at `accessUrl` opens, or `undefined` if it is not a console's URL. noVNC's
 * parameter `path` is resolved against the folder of the page; it cannot lead to another host.
 * @example socketAddress('http://h:6080/vnc_lite.html?path=%3Ftoken%3Dabc') // ws://h:6080/?token=abc
 */
export function socketAddress(accessUrl: string): string | undefined {
  const page = URL.canParse(accessUrl) ? new URL(accessUrl) : undefined
  if (page === undefined) return undefined
  if (/^wss?:$/.test(page.protocol)) return page.href
  return /^https?:$/.test(page.protocol) ? besidePage(page) : undefined
}

function besidePage(page: URL): string | undefined {
  const folder = new URL('.', page)
  const path = page.searchParams.get('path') ?? page.search
  const address = URL.canParse(path, folder.href) ? new URL(path, folder) : undefined
  if (address?.origin !== page.origin) return undefined
  address.protocol = page.protocol === 'https:' ? 'wss:' : 'ws:'
  return address.href
}
