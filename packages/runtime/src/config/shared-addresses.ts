/** Finds listeners with the same address. The start would report that another program uses it. */
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
 * Returns a fault for each address that conflicts with an earlier one. Port 0 never conflicts, and an address of all
 * interfaces conflicts with the same port on any of them. Host names are not resolved.
 */
export function sharedAddresses(keys: readonly ListenKey[]): readonly ConfigFault[] {
  return keys.flatMap(({ path, address }, i) => {
    const taker = keys.slice(0, i).find((other) => collide(parseListen(other.address), parseListen(address)))
    return taker ? [{ path, message: messageOf(address, taker) }] : []
  })
}

function messageOf(address: string, { path, address: taken }: ListenKey): string {
  const as = taken === address ? '' : ` as ${taken}`
  return `${address} is taken by ${path}${as}, give each its own port`
}

function collide(a: ListenAddress, b: ListenAddress): boolean {
  return a.port === b.port && a.port !== 0 && (sameHost(a, b) || covers(a, b) || covers(b, a))
}

const sameHost = (a: ListenAddress, b: ListenAddress) => canonicalHost(a) === canonicalHost(b)

const canonicalHost = ({ host }: ListenAddress) => canonicalAddress(host) ?? host.toLowerCase()

/** Whether `all` is the address of all interfaces of that family; `::` includes IPv4. */
function covers(all: ListenAddress, { host }: ListenAddress): boolean {
  const wide = canonicalHost(all)
  return wide === '::' || (wide === '0.0.0.0' && isIPv4(canonicalAddress(host) ?? ''))
}
