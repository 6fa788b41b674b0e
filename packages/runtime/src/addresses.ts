/** IP addresses: their canonical form, sets of addresses and networks, and tests for loopback. */
import { BlockList, isIP } from 'node:net'

/**
 * The canonical form of an IP address: IPv6 compressed and in lower case (RFC 5952), without its zone index, and an
 * IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, `::ffff:c000:201`) as the IPv4 address that it stands for.
 * @returns `undefined` when `text` is not an IP address
 */
export function canonicalAddress(text: string): string | undefined {
  // A zone index names an interface of the local machine; the address is the same without it.
  const address = text.replace(/%.*$/s, '')
  const family = isIP(text) === 0 ? 0 : isIP(address)
  if (family !== 6) return family === 4 ? address : undefined
  const shortest = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(shortest)
  if (!mapped) return shortest
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)]
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
}

/** Addresses and networks, as configured. */
export interface AddressSet {
  /** Whether the set contains `address`, in any spelling. False for text that is not an address. */
  has(address: string): boolean
}

/**
 * A set of addresses and CIDRs, such as `10.0.0.1` and `fd00::/8`. An IPv4-mapped entry means the IPv4 addresses.
 * @throws TypeError that names the first entry that is neither, with what to write
 */
export function addressSet(entries: readonly string[]): AddressSet {
  const list = new BlockList()
  for (const entry of entries) addEntry(list, entry)
  return {
    has: (text) => {
      const address = canonicalAddress(text)
      return address !== undefined && list.check(address, familyOf(address))
    },
  }
}

function addEntry(list: BlockList, entry: string): void {
  const problem = networkProblem(entry)
  if (problem !== undefined) throw new TypeError(`${JSON.stringify(entry)} ${problem}`)
  const [text = '', prefix] = entry.split('/')
  const max = isIP(text) === 6 ? 128 : 32
  const bits = Number(prefix ?? max)
  const address = canonicalAddress(text)!
  const isMapped = max === 128 && familyOf(address) === 'ipv4'
  if (!isMapped) list.addSubnet(address, bits, familyOf(address))
  else if (bits >= MAPPED_BITS) list.addSubnet(address, bits - MAPPED_BITS, 'ipv4')
  else list.addSubnet(text.replace(/%.*$/s, ''), bits, 'ipv6')
}

/** Explains why `entry` is neither an address nor a CIDR, in words that follow the quoted entry, or returns `undefined`. */
export function networkProblem(entry: string): string | undefined {
  const [address = '', prefix, ...more] = entry.split('/')
  const family = isIP(address)
  if (family === 0 || more.length > 0 || (prefix !== undefined && !/^\d+$/.test(prefix))) {
    return 'is neither an address nor a CIDR, give one such as 10.0.0.1, 10.0.0.0/8 or fd00::/8'
  }
  const max = family === 6 ? 128 : 32
  return prefix !== undefined && Number(prefix) > max
    ? `ends in /${prefix}, give at most /${max} for IPv${family}`
    : undefined
}

/** The length of the prefix `::ffff:0:0/96`. */
const MAPPED_BITS = 96

const familyOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4')

/**
 * The key under which limits per client count `address`: an IPv4 address itself, or the /64 of an IPv6 address, the smallest network
 * that a customer gets. Returns other text unchanged.
 */
export function networkOf(address: string): string {
  const canonical = canonicalAddress(address) ?? address
  if (isIP(canonical) !== 6) return canonical
  const [head = '', tail = ''] = canonical.split('::')
  const [left, right] = [groupsOf(head), groupsOf(tail)]
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`
}

const groupsOf = (text: string) => (text === '' ? [] : text.split(':'))

/**
 * Whether `host`, a name or an address with or without brackets, is loopback: `localhost`, 127.0.0.0/8 or ::1, also as
 * IPv4-mapped addresses. Other names are not resolved.
 */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/s, '$1')
  return name.replace(/\.$/, '') === 'localhost' || loopback.has(name)
}

const loopback = addressSet(['127.0.0.0/8', '::1'])

/**
 * Whether a Host header, `host[:port]`, is loopback: {@link isLoopback}, or a name below `localhost`, which browsers
 * resolve to loopback themselves (RFC 6761 section 6.3). So another site cannot get such a name, even by DNS rebinding.
 */
export function isLocalHost(host: string): boolean {
  const name = /^(\[[\da-f:.]+\]|[\w.-]+)(?::\d{0,5})?$/i.exec(host)?.[1]
  return name !== undefined && (isLoopback(name) || /\.localhost\.?$/i.test(name))
}

/** Whether an Origin header is that of a page on loopback. False for `null`. */
export function isLocalOrigin(origin: string): boolean {
  const found = /^https?:\/\/([^/?#@\s]+)$/i.exec(origin)
  return found !== null && isLocalHost(found[1]!)
}
