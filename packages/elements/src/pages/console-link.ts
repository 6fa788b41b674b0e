/** Where a browser goes to open a console. */
import { consoleTypes, type OpenableConsoleType } from '@oriel/contract'

/**
 * The page that opens an access URL: the URL itself, or, if it is a WebSocket URL, the console page of `type` that the
 * proxy serves beside it. `undefined` if a browser cannot open the URL.
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
