/** Shows addresses without the tokens in them. */
import { tokenOf } from '@oriel/contract'

/** Returns an access URL with `***` in place of its token. */
export function maskedUrl(url: string): string {
  const token = tokenOf(url)
  return token ? url.replaceAll(encodeURIComponent(token), '***').replaceAll(token, '***') : url
}

/** How much of a token identifies it in a text that may have been cut. */
const SHOWN_CHARS = 8

/** Returns `text` with `***` in place of the token, also of one that was cut: a server may repeat it in a title or a sentence. */
export const withoutEcho = (text: string, token: string): string =>
  text.replaceAll(new RegExp(`${quoted(token.slice(0, SHOWN_CHARS))}[\\w.~%+/=-]*`, 'gi'), '***')

const quoted = (text: string) => text.replaceAll(/\W/g, '\\$&')

/** Copies an error of `fetch` whose message may contain the address, and with it the token. */
export function withoutToken(error: unknown, url: string): unknown {
  if (!(error instanceof Error)) return error
  const cause = withoutToken(error.cause, url)
  const { code } = error as NodeJS.ErrnoException
  const copy = new Error(error.message.replaceAll(url, maskedUrl(url)), { cause })
  return Object.assign(copy, { name: error.name, ...(code !== undefined && { code }) })
}
