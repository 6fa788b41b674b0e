/** The client of a request and the host that it addressed, read from the connection and a trusted proxy's headers. */
import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { type AddressSet, canonicalAddress } from '@oriel/runtime'
import { Refused } from '../refused.ts'
import { type ForwardedHeader, readForwarded } from './forwarded.ts'

export interface Site {
  /** The name in Host, lower case, without port, brackets and trailing dot. */
  readonly hostName: string
  /** The scheme that the client used, as a trusted proxy reports it. */
  readonly forwardedScheme?: 'http' | 'https'
  /** The client in front of all trusted proxies: its address, or the name that the outermost of them reports. */
  readonly client: string
}

/** The parts of a request that identify its client and host. */
export interface SiteRequest {
  readonly headers: IncomingHttpHeaders
  /** As in `IncomingMessage`: names and values alternate. */
  readonly rawHeaders: readonly string[]
  readonly peerAddress: string | undefined
}

/**
 * Reads `request`, believing `X-Forwarded-*` and `Forwarded` only from `trustedProxies`.
 * @param only the one of these headers to read. Default: both
 * @throws Refused `bad_request` if the Host header is missing, repeated or malformed
 */
export function readSite(
  { headers, rawHeaders, peerAddress }: SiteRequest,
  trustedProxies: AddressSet,
  only?: ForwardedHeader,
): Site {
  const { client, scheme, host } = readForwarded(headers, plainAddress(peerAddress), trustedProxies, only)
  // Traefik reports the scheme of a WebSocket.
  const forwardedScheme = scheme?.toLowerCase().replace(/^ws/, 'http')
  return {
    hostName: hostName(host ?? onlyHost(rawHeaders)),
    ...(forwardedScheme === 'http' || forwardedScheme === 'https' ? { forwardedScheme } : {}),
    client,
  }
}

/** Whether a request has several Host headers, or one that is not `host[:port]`. */
export function hasBadHost({ headers, rawHeaders }: Pick<SiteRequest, 'headers' | 'rawHeaders'>): boolean {
  // HTTP/1.0, which some health checks use, has no Host header.
  if (headers.host === undefined) return false
  try {
    hostName(onlyHost(rawHeaders))
    return false
  } catch {
    return true
  }
}

/** Returns the name in a `host[:port]`, normalised for comparison. @throws Refused `bad_request` */
export function hostName(host: string): string {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([\w-]+(?:\.[\w-]+)*)\.?)(?::\d{0,5})?$/.exec(host)
  const name = found?.[2] ?? (found?.[1] && isIP(found[1]) === 6 ? found[1] : undefined)
  if (name === undefined) throw new Refused('bad_request', `Host is ${JSON.stringify(host.slice(0, 80))}`)
  return normalName(name)
}

/** Normalises a host name or address for comparison. */
export function normalName(name: string): string {
  const lower = name.toLowerCase().replace(/\.$/, '')
  return canonicalAddress(lower) ?? lower
}

/** The canonical form of an address; text that is not an address is returned unchanged. */
export const plainAddress = (address: string | undefined) => canonicalAddress(address ?? '') ?? address ?? ''

/** Returns the values of all headers with that name, unchanged. @param name in lower case */
export const headerValues = (rawHeaders: readonly string[], name: string): readonly string[] =>
  rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]!.toLowerCase() === name)

function onlyHost(rawHeaders: readonly string[]): string {
  const hosts = headerValues(rawHeaders, 'host')
  if (hosts.length !== 1) throw new Refused('bad_request', `the request has ${hosts.length} Host headers`)
  return hosts[0]!
}
