/**
 * Limits the addresses that guests of a source may claim. A guest that has taken over its QEMU must not make the proxy dial
 * a metadata service, or a port or a Unix socket of another program.
 */
import { addressSet, canonicalAddress, isLoopback, pathPattern, pathPatterns, unixSocketPath } from '@oriel/runtime'
import * as Type from 'typebox'
import type { ConsoleAddress } from '../source.ts'

const FIRST_VNC_PORT = 5900
const LAST_PORT = 65535

/** Configuration keys of sources whose hypervisors report the consoles' addresses. */
export const reachKeys = {
  console_hosts: Type.Array(
    Type.String({
      minLength: 1,
      pattern: '^[A-Za-z0-9_.:-]+(/[0-9]{1,3})?$',
      'x-remedy': 'a name, an address or a CIDR, such as 10.0.0.0/24',
    }),
    {
      default: [],
      description: 'Names, addresses and CIDRs at which guests may listen, besides the host of the source itself.',
    },
  ),
  console_ports: Type.String({
    default: `${FIRST_VNC_PORT}-${LAST_PORT}`,
    pattern: '^[0-9]{1,5}-[0-9]{1,5}$',
    'x-remedy': 'the first and the last port, such as 5900-65535',
    description: 'The first and the last port on which guests may listen.',
  }),
  console_sockets: Type.Array(pathPattern(), {
    default: [],
    description:
      "Patterns of the Unix sockets at which guests may listen, such as /run/oriel/*.sock, if they run on the proxy's host; the proxy needs them in hypervisor.unix_sockets too. Default: none.",
  }),
}

export interface ReachConfig {
  readonly console_hosts: readonly string[]
  readonly console_ports: string
  readonly console_sockets: readonly string[]
}

/** The console addresses that a hypervisor may claim for its guests. */
export interface Reach {
  /** The hypervisor's host, as the proxy sees it. */
  readonly host: string
  /** Returns the reason why the proxy must not dial `address`, or `undefined` if it may. */
  objection(address: ConsoleAddress): string | undefined
}

/** @throws TypeError for an invalid value that the pattern of the key's schema lets through */
export function createReach(host: string, { console_hosts, console_ports, console_sockets }: ReachConfig): Reach {
  const allowsHost = hostCheck(host, console_hosts)
  const allowsSocket = pathPatterns(console_sockets)
  const { first, last } = portsOf(console_ports)
  return {
    host,
    objection({ host: named, port, tlsPort }) {
      const socket = unixSocketPath(named)
      if (socket !== undefined)
        return allowsSocket(socket) ? undefined : `the Unix socket ${socket} is not in console_sockets`
      if (!allowsHost(named)) return `${named} is neither the host of this source nor in its console_hosts`
      const outside = [port, tlsPort].find((each) => typeof each === 'number' && (each < first || each > last))
      return outside === undefined ? undefined : `port ${outside} is not in console_ports (${console_ports})`
    },
  }
}

/** Checks the keys beyond their patterns, and yields each fault with its key. */
export function* reachFaults({
  console_hosts,
  console_ports,
}: ReachConfig): Iterable<{ key: string; message: string }> {
  for (const [index, entry] of console_hosts.entries()) {
    try {
      hostCheck('', [entry])
    } catch (error) {
      yield { key: `console_hosts[${index}]`, message: `${(error as Error).message}, give one such as 10.0.0.0/24` }
    }
  }
  const { first, last } = portsOf(console_ports)
  if (first < 1 || last > LAST_PORT || first > last) {
    const message = `${JSON.stringify(console_ports)} is not a range of ports, give the first and the last, such as 5900-65535`
    yield { key: 'console_ports', message }
  }
}

function portsOf(range: string): { readonly first: number; readonly last: number } {
  const [first = 0, last = 0] = range.split('-').map(Number)
  return { first, last }
}

/** Compares names and never resolves them: the guest may control what a name resolves to. */
function hostCheck(own: string, entries: readonly string[]): (host: string) => boolean {
  const isAddress = (entry: string) => entry.includes('/') || canonicalAddress(entry) !== undefined
  const addresses = addressSet(entries.filter(isAddress))
  const names = new Set([own, ...entries.filter((entry) => !isAddress(entry))].map(plain))
  return (host) => names.has(plain(host)) || addresses.has(host) || (isLoopback(own) && isLoopback(host))
}

const plain = (host: string) => canonicalAddress(host) ?? host.toLowerCase().replace(/\.$/, '')
