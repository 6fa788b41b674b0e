/**
 * Guards a listener on loopback whose authority takes no credentials. A browser on this machine shows pages of any site,
 * and by DNS rebinding such a page reaches loopback under its own name; its Host and Origin headers reveal that.
 */
import { isLocalHost, isLocalOrigin } from '@oriel/runtime'
import { Refused } from '../refused.ts'
import { type AllowedOrigin, isListed, originEntry, parseOrigin } from './origin.ts'
import { headerValues, hostName } from './site.ts'

/**
 * Accepts requests whose Host and Origin are this machine or in `origin.allowed`. Ignores `X-Forwarded-Host`, which a page
 * can send. Accepts requests without an Origin, which come from programs other than browsers.
 * @throws Refused `foreign_host`, `foreign_origin`, `bad_request`
 */
export function admitLocal(rawHeaders: readonly string[], allowed: readonly AllowedOrigin[]): void {
  const hosts = headerValues(rawHeaders, 'host')
  if (hosts.length > 1) throw new Refused('bad_request', `the request has ${hosts.length} Host headers`)
  for (const host of hosts) {
    if (isLocalHost(host)) continue
    const name = hostName(host)
    if (allowed.some((entry) => entry.hostName === name)) continue
    throw new Refused('foreign_host', `Host ${JSON.stringify(host.slice(0, 80))} is neither this machine nor allowed`)
  }
  for (const text of headerValues(rawHeaders, 'origin')) {
    const origin = parseOrigin(text)
    if (isLocalOrigin(text) || (origin && isListed(origin, allowed))) continue
    const detail = `Origin ${JSON.stringify(text.slice(0, 80))} is neither this machine nor allowed`
    throw new Refused('foreign_origin', detail, origin && { allow: originEntry(origin) })
  }
}
