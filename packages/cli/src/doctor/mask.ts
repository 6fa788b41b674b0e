/** Shows addresses without the tokens in them. */
import { tokenOf } from '@oriel/contract'

/** Returns an access URL with `***` in place of its token. */
export function maskedUrl(url: string): string {
  const token = tokenOf(url)
  return token ? url.replaceAll(encodeURIComponent(token), '***').replaceAll(token, '***') : url
}

/** Copies an error of `fetch` whose message may contain the address, and with it the token. */
export function withoutToken(error: unknown, url: string): unknown {
  if (!(error instanceof Error)) return error
  const cause = withoutToken(error.cause, url)
  const { code } = error as NodeJS.ErrnoException
  const copy = new Error(error.message.replaceAll(url, maskedUrl(url)), { cause })
  return Object.assign(copy, { name: error.name, ...(code !== undefined && { code }) })
}
