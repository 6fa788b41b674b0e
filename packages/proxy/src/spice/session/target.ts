/** Where a SPICE server listens, and to whom the proxy may go. */
import { isIP } from 'node:net'
import { addressSet } from '@oriel/runtime'

/** A machine's console. At least one of the ports is there. */
export interface SpiceTarget {
  readonly host: string
  readonly port?: number
  readonly tlsPort?: number
}

/** A target for people who read logs. */
export const targetText = ({ host, port, tlsPort }: SpiceTarget) =>
  `${host} (${tlsPort ?? '-'} TLS, ${port ?? '-'} clear)`

export const sameTarget = (a: SpiceTarget, b: SpiceTarget) =>
  a.host === b.host && a.port === b.port && a.tlsPort === b.tlsPort

/** Hosts that a live migration may lead to. */
export interface AllowedHosts {
  readonly any: boolean
  has(host: string): boolean
}

/**
 * A set of names, addresses and CIDRs. A name is compared as it is written, never resolved.
 * @throws TypeError for a malformed CIDR
 */
export function allowedHosts(entries: readonly string[]): AllowedHosts {
  const isAddress = (entry: string) => entry.includes('/') || isIP(entry) !== 0
  const addresses = addressSet(entries.filter(isAddress))
  const names = new Set(entries.filter((entry) => !isAddress(entry)).map(normalName))
  return { any: entries.length > 0, has: (host) => names.has(normalName(host)) || addresses.has(host) }
}

const normalName = (name: string) => name.toLowerCase().replace(/\.$/, '')
