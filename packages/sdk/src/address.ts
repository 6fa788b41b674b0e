/** Addresses from settings and catalogues. */
import { API_VERSION } from '@oriel/contract'
import { SettingsError } from './errors.ts'

/**
 * Returns an http or https address without trailing slashes.
 * @param what its name in the message, such as `endpoint`, since the message does not show the address
 * @throws SettingsError if it is not a URL, or has a user name, password, query or fragment
 */
export function httpAddress(what: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new SettingsError(`${what} is not an http(s) address`)
  if (url.username || url.password || url.search || url.hash) {
    throw new SettingsError(`${what} must be without user name, password, query and fragment`)
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

/** Cuts an endpoint after the segment with the API's version, or before it unless `kept`. */
export function versionRoot(endpoint: string, kept: boolean): string {
  const { origin, pathname } = new URL(endpoint)
  const segments = pathname.split('/')
  const version = segments.lastIndexOf(API_VERSION)
  const root = version < 0 ? segments : segments.slice(0, version + Number(kept))
  return origin + root.join('/').replace(/\/$/, '')
}
