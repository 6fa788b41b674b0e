/** Where a browser goes to open a console. */

/**
 * The page of an access URL: the URL itself, or, for a serial console whose access URL is a WebSocket, the page that the
 * proxy serves beside it. `undefined` for anything that is no web address.
 */
export function consolePage(accessUrl: string): URL | undefined {
  const url = URL.parse(accessUrl)
  if (url === null) return undefined
  if (url.protocol === 'http:' || url.protocol === 'https:') return url
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') return undefined
  const page = new URL(`serial.html${url.search}`, url)
  page.protocol = url.protocol === 'wss:' ? 'https:' : 'http:'
  return page
}
