/** Finds the page that opens a console in a browser. */
import { consoleTypes, type OpenableConsoleType } from '@oriel/contract'

/**
 * Returns the page that opens an access URL: the URL itself or, for a WebSocket URL, the console page of `type` on the
 * same server. Returns `undefined` if a browser cannot open the URL.
 */
export function consolePage(accessUrl: string, type: OpenableConsoleType): URL | undefined {
  const url = URL.parse(accessUrl)
  if (url === null) return undefined
  if (url.protocol === 'http:' || url.protocol === 'https:') return url
  const { page } = consoleTypes[type]
  if (page === null || (url.protocol !== 'ws:' && url.protocol !== 'wss:')) return undefined
  const beside = new URL(`${page}${url.search}`, url)
  beside.protocol = url.protocol === 'wss:' ? 'https:' : 'http:'
  return beside
}
