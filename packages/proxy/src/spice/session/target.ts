/** The address of a SPICE server, and the hosts that live migrations may name. */
import { isIP } from 'node:net'
import { addressSet } from '@oriel/runtime'
import type { UnixSocket } from '../../hypervisor/unix-socket.ts'

/** The address of an instance's SPICE server. It has a Unix socket or at least one port. */
export interface SpiceTarget {
  readonly host: string
  readonly port?: number
  readonly tlsPort?: number
  /** Dialled in plaintext; `host` is `unix:` and its path. */
  readonly socket?: UnixSocket
}

/** Formats a target for the log. */
export const targetText = ({ host, port, tlsPort, socket }: SpiceTarget) =>
  socket ? host : `${host} (${tlsPort ?? '-'} TLS, ${port ?? '-'} plaintext)`

export const sameTarget = (a: SpiceTarget, b: SpiceTarget) =>
  a.host === b.host && a.port === b.port && a.tlsPort === b.tlsPort

/** The hosts that a live migration may name as its target. */
export interface AllowedHosts {
  readonly any: boolean
  has(host: string): boolean
}

/**
 * Creates a set of names, addresses and CIDRs. Compares names as text, without resolving them.
 * @throws TypeError for a malformed CIDR
 */
export function allowedHosts(entries: readonly string[]): AllowedHosts {
  const isAddress = (entry: string) => entry.includes('/') || isIP(entry) !== 0
  const addresses = addressSet(entries.filter(isAddress))
  const names = new Set(entries.filter((entry) => !isAddress(entry)).map(normalName))
  return { any: entries.length > 0, has: (host) => names.has(normalName(host)) || addresses.has(host) }
}

const normalName = (name: string) => name.toLowerCase().replace(/\.$/, '')
