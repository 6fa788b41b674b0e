/** Replaces the token in a console's URL by the handle of the ticket that it was exchanged for. */
import { RESUME_PARAMETER } from '@oriel/contract'

/**
 * Returns a console's URL without its token, also inside `path`, and with the handle of the ticket that replaces it: a copy
 * of that URL opens nothing in another browser.
 */
export function resumableUrl(url: string, handle: string): string {
  const page = new URL(url)
  const path = page.searchParams.get('path')
  if (path !== null) page.searchParams.set('path', withoutToken(path))
  if (page.searchParams.get('path') === '') page.searchParams.delete('path')
  page.searchParams.delete('token')
  page.searchParams.set(RESUME_PARAMETER, handle)
  return page.href
}

/** Removes the token from noVNC's `path`, such as `websockify?token=…`. */
function withoutToken(path: string): string {
  const mark = path.indexOf('?')
  if (mark < 0) return path
  const query = new URLSearchParams(path.slice(mark + 1))
  query.delete('token')
  const rest = query.toString()
  return path.slice(0, mark) + (rest === '' ? '' : `?${rest}`)
}
