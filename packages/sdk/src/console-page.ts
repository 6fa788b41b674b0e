/** Finds the page that opens a console in a browser. */
import { consoleTypes, type OpenableConsoleType } from '@oriel/contract'

/**
 * Returns the URL at which a browser opens a console: the access URL itself or, for a WebSocket URL, the console page of
 * `type` in the same folder. Oriel's proxy serves these pages; `nova-serialproxy` has none.
 * @param type default: `serial`, the only type for which Nova returns WebSocket URLs
 * @param options.title the name of the machine in the page's tab and bar; ignored for a type without a page. Default: the
 * page shows the name that the machine reports, or `Console`.
 * @returns `undefined` if `accessUrl` is not an http, https, ws or wss URL, or is a WebSocket URL of a type without a page
 * @example consolePage('wss://h/?token=abc') // 'https://h/serial.html?token=abc'
 */
export function consolePage(
  accessUrl: string,
  type: OpenableConsoleType = 'serial',
  { title = '' }: ConsolePageOptions = {},
): string | undefined {
  const { page } = consoleTypes[type]
  const url = pageOf(accessUrl, page)
  if (url === undefined || page === null || title === '') return url
  const titled = new URL(url)
  titled.searchParams.set('title', title)
  return titled.href
}

export interface ConsolePageOptions {
  readonly title?: string | undefined
}

function pageOf(accessUrl: string, page: string | null): string | undefined {
  const url = URL.canParse(accessUrl) ? new URL(accessUrl) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return accessUrl
  if (page === null || (url?.protocol !== 'ws:' && url?.protocol !== 'wss:')) return undefined
  const beside = new URL(`${page}${url.search}`, url)
  beside.protocol = url.protocol === 'wss:' ? 'https:' : 'http:'
  return beside.href
}
