/** Addresses that people give or catalogues name. */
import { API_VERSION } from '@oriel/contract'
import { SettingsError } from './errors.ts'

/**
 * An http or https address without slashes at its end.
 * @param what its name in the message, such as `endpoint`; the address itself is not shown
 * @throws SettingsError if it is not a URL, or has a user name, password, query or fragment
 */
export function httpAddress(what: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new SettingsError(`${what} is no http(s) address`)
  if (url.username || url.password || url.search || url.hash) {
    throw new SettingsError(`${what} must be without user name, password, query and fragment`)
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

/** An endpoint without what follows the segment of the API's version, and without that segment too if it is not `kept`. */
export function versionRoot(endpoint: string, kept: boolean): string {
  const { origin, pathname } = new URL(endpoint)
  const segments = pathname.split('/')
  const version = segments.lastIndexOf(API_VERSION)
  const root = version < 0 ? segments : segments.slice(0, version + Number(kept))
  return origin + root.join('/').replace(/\/$/, '')
}
