/** Listeners that would take each other's address: the start would blame another program for it. */
import { isIPv4 } from 'node:net'
import { canonicalAddress } from '../addresses.ts'
import type { ConfigFault } from './error.ts'
import { type ListenAddress, parseListen } from './schemas.ts'

/** A key with a listen address. */
export interface ListenKey {
  readonly path: string
  readonly address: string
}

/**
 * A fault for each address that an earlier one takes. Port 0 is taken by none, and an address of all interfaces takes its
 * port on each of them. Host names are compared as they are written.
 */
export function sharedAddresses(keys: readonly ListenKey[]): readonly ConfigFault[] {
  return keys.flatMap(({ path, address }, i) => {
    const taker = keys.slice(0, i).find((other) => collide(parseListen(other.address), parseListen(address)))
    return taker ? [{ path, message: messageOf(address, taker) }] : []
  })
}

function messageOf(address: string, { path, address: taken }: ListenKey): string {
  const as = taken === address ? '' : ` as ${taken}`
  return `${address} is taken by ${path}${as}, give each a port of its own`
}

function collide(a: ListenAddress, b: ListenAddress): boolean {
  return a.port === b.port && a.port !== 0 && (sameHost(a, b) || covers(a, b) || covers(b, a))
}

const sameHost = (a: ListenAddress, b: ListenAddress) => canonicalHost(a) === canonicalHost(b)

const canonicalHost = ({ host }: ListenAddress) => canonicalAddress(host) ?? host.toLowerCase()

/** `::` takes IPv4 too. */
function covers(all: ListenAddress, { host }: ListenAddress): boolean {
  const wide = canonicalHost(all)
  return wide === '::' || (wide === '0.0.0.0' && isIPv4(canonicalAddress(host) ?? ''))
}
