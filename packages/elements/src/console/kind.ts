/** Which element shows a console, by its URL. */
import { consoleTypes } from '@oriel/contract'

export type ConsoleKind = 'vnc' | 'serial' | 'spice'

export const isKind = (text: string | null): text is ConsoleKind =>
  text === 'vnc' || text === 'serial' || text === 'spice'

/** The kinds by the names of their pages: those of the table, and with the endings that Nova's documentation and noVNC use. */
const kindOfPage: readonly (readonly [RegExp, ConsoleKind])[] = [
  [pageOf(consoleTypes.novnc.page), 'vnc'],
  [pageOf(consoleTypes['spice-html5'].page), 'spice'],
  [pageOf(consoleTypes.serial.page), 'serial'],
]

/** `vnc.html` stands for `vnc_lite.html` and `vnc_auto.html` too. */
function pageOf(page: string): RegExp {
  const [name] = page.replace('.html', '').split('_')
  return new RegExp(`/${name}(_lite|_auto)?\\.html$`)
}

/**
 * Returns the kind of the console at an access URL: by the name of the page; for any other page by noVNC's `path`. A WebSocket
 * URL is that of a serial console, because Nova returns none for other types. `undefined`: the URL does not tell.
 * @param base the URL against which a relative `url` is resolved
 */
export function kindOf(url: string, base?: string): ConsoleKind | undefined {
  if (!URL.canParse(url, base)) return undefined
  const { protocol, pathname, searchParams } = new URL(url, base)
  if (protocol === 'ws:' || protocol === 'wss:') return 'serial'
  const [, kind] = kindOfPage.find(([page]) => page.test(pathname)) ?? []
  return kind ?? (searchParams.has('path') ? 'vnc' : undefined)
}
