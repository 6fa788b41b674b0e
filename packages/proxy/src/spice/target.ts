/** Where a SPICE server listens, and to whom the proxy may go. */
import { isIP } from 'node:net'
import { type AddressSet, addressSet } from '../admit/site.ts'

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
 * @throws TypeError for a CIDR that is none
 */
export function allowedHosts(entries: readonly string[]): AllowedHosts {
  const isAddress = (entry: string) => entry.includes('/') || isIP(entry) !== 0
  const addresses = addressSet(entries.filter(isAddress))
  const names = new Set(entries.filter((entry) => !isAddress(entry)).map(normalName))
  return { any: entries.length > 0, has: (host) => names.has(normalName(host)) || addresses.has(host) }
}

/** Whether `host` is this machine itself, so that what is sent there in clear is seen by nobody else. */
export const isLoopback = (host: string) => host === 'localhost' || loopback.has(host)

const loopback: AddressSet = addressSet(['127.0.0.0/8', '::1'])

const normalName = (name: string) => name.toLowerCase().replace(/\.$/, '')
