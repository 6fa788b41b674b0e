/** Addresses that people give or catalogues name. */
import { SettingsError } from './errors.ts'

/**
 * An http or https address without slashes at its end.
 * @param what its name in the message, such as `endpoint`; the address itself is not shown
 * @throws SettingsError if it is none, or has a user name, password, query or fragment
 */
export function httpAddress(what: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new SettingsError(`${what} is no http(s) address`)
  if (url.username || url.password || url.search || url.hash) {
    throw new SettingsError(`${what} must be without user name, password, query and fragment`)
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}
