/**
 * Decides which pages may open consoles (CVE-2015-0259): those of the host that the client itself addressed, and those
 * configured. Ignores ports, as Nova does. Accepts clients without an Origin: they are not browsers, so no page controls them.
 */
import { originProblem } from '@oriel/runtime'
import { Refused } from '../refused.ts'
import { headerValues, normalName, type Site } from './site.ts'

/** A configured origin: a host name, with a scheme when the entry has one. Never changes after start. */
export interface AllowedOrigin {
  readonly scheme?: string
  readonly hostName: string
}

/**
 * An entry of `origin.allowed`: `portal.example` or `https://portal.example`.
 * @throws TypeError if the entry is neither
 */
export function allowedOrigin(entry: string): AllowedOrigin {
  const parsed = entry.includes('://') ? parseOrigin(entry) : parseOrigin(`http://${entry}`)
  if (!parsed) throw new TypeError(`${JSON.stringify(entry)} ${problemOf(entry)}`)
  return entry.includes('://') ? parsed : { hostName: parsed.hostName }
}

/** Converts an entry of `origin.allowed` to a Content-Security-Policy source. `:*` is needed because CSP compares ports. */
export function anyPort(entry: string): string {
  const { scheme, hostName } = allowedOrigin(entry)
  return `${scheme === undefined ? '' : `${scheme}://`}${hostName}:*`
}

/** The Origin of a request, after it was allowed; `undefined` if the client sent no Origin, and so is not a browser. */
export type Origin = { readonly scheme: string; readonly hostName: string } | undefined

/** The address at which users reach a listener. */
export interface PublicAddress {
  /** Whether the listener itself speaks TLS. */
  readonly tls: boolean
  /** `listen[].base_url`: the public address. For balancers that report a different address or no address. */
  readonly base?: NonNullable<Origin> | undefined
}

/** Builds the public address of a listener. @param baseUrl `listen[].base_url`, checked by the schema */
export function publicAddress(tls: boolean, baseUrl: string | undefined): PublicAddress {
  if (baseUrl === undefined) return { tls }
  const { protocol, hostname } = new URL(baseUrl)
  return { tls, base: { scheme: protocol.slice(0, -1), hostName: normalName(hostname.replace(/^\[|\]$/g, '')) } }
}

/**
 * Returns the request's Origin if it may open consoles here.
 * @throws Refused `foreign_origin`
 */
export function admitOrigin(
  rawHeaders: readonly string[],
  site: Site,
  allowed: readonly AllowedOrigin[],
  address: PublicAddress = { tls: false },
): Origin {
  const values = headerValues(rawHeaders, 'origin')
  if (values.length === 0) return undefined
  const origin = values.length === 1 ? parseOrigin(values[0]!) : undefined
  if (!origin) throw new Refused('foreign_origin', `Origin is ${JSON.stringify(values.join(', ').slice(0, 200))}`)
  const isOwn = origin.hostName === site.hostName || origin.hostName === address.base?.hostName
  if (isOwn || isListed(origin, allowed)) return requireSecurePage(origin, site, allowed, address)
  throw new Refused('foreign_origin', `Origin ${origin.hostName} is neither Host ${site.hostName} nor allowed`, {
    allow: originEntry(origin),
  })
}

/**
 * Refuses a page that was loaded over http if the listener is reached over TLS: an attacker who can change that page would
 * get the console. The reverse is harmless, and happens behind a balancer that reports only its own inner hop. Refuses
 * nothing if neither the listener nor a trusted balancer reports the client's scheme.
 */
function requireSecurePage(
  origin: NonNullable<Origin>,
  { forwardedScheme }: Site,
  allowed: readonly AllowedOrigin[],
  { tls, base }: PublicAddress,
): Origin {
  const scheme = base?.scheme ?? forwardedScheme ?? (tls ? 'https' : undefined)
  if (origin.scheme === 'https' || scheme !== 'https') return origin
  // An explicit http:// in origin.allowed is the operator's decision.
  if (allowed.some((entry) => entry.scheme === 'http' && matches(entry, origin))) return origin
  throw new Refused('foreign_origin', `the page was loaded over http, and this listener is reached over https`)
}

/** An origin as an entry of `origin.allowed`, where ports do not count. */
export const originEntry = ({ scheme, hostName }: NonNullable<Origin>) =>
  `${scheme}://${hostName.includes(':') ? `[${hostName}]` : hostName}`

/**
 * Refuses a page whose scheme is not that of the console's base URL (Nova's rule): a page that was loaded over plain HTTP
 * must not open a console meant for TLS. Accepts every page if the authority returned no base URL.
 * @throws Refused `foreign_origin`
 */
export function admitScheme(origin: Origin, site: Site, baseUrl: string | undefined): void {
  if (!origin || baseUrl === undefined) return
  const scheme = site.forwardedScheme ?? origin.scheme
  const wanted = webScheme(new URL(baseUrl).protocol.slice(0, -1))
  if (scheme !== wanted)
    throw new Refused('foreign_origin', `the page was loaded over ${scheme}, but the console is for ${wanted}`)
}

/** Whether `origin.allowed` lists an origin. */
export const isListed = (origin: NonNullable<Origin>, allowed: readonly AllowedOrigin[]) =>
  allowed.some((entry) => matches(entry, origin))

/** Explains why an entry is invalid. An entry without a scheme is a host name, possibly with a path behind it. */
function problemOf(entry: string): string {
  if (entry.includes('://')) return originProblem(entry)
  const [name = ''] = entry.split('/')
  return name !== '' && name !== entry && parseOrigin(`http://${name}`)
    ? `has a slash in it, give the host name alone: ${JSON.stringify(name)}`
    : 'is neither a host name nor an origin, give one such as portal.example or https://portal.example'
}

const matches = (entry: AllowedOrigin, origin: NonNullable<Origin>) =>
  entry.hostName === origin.hostName && (entry.scheme === undefined || entry.scheme === origin.scheme)

const webScheme = (scheme: string) => ({ ws: 'http', wss: 'https' })[scheme] ?? scheme

/** Parses an Origin (RFC 6454 section 7): scheme, host, port and nothing else. Returns `undefined` for others, and for `null`. */
export function parseOrigin(text: string): Origin {
  const found = /^(https?):\/\/(\[[0-9a-f:.]+\]|[\w-]+(?:\.[\w-]+)*\.?)(?::\d{1,5})?$/i.exec(text)
  if (!found || !URL.canParse(text)) return undefined
  return { scheme: found[1]!.toLowerCase(), hostName: normalName(found[2]!.replace(/^\[|\]$/g, '')) }
}
