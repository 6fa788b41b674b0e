/** Faults of static servers that concern several keys at once. */
import { type ConfigFault, isUnixHost } from '@oriel/runtime'
import type { StaticServerConfig } from './config.ts'

interface PlacedServer {
  /** The server's key path. */
  readonly path: string
  readonly server: StaticServerConfig
}

/** Returns the faults of `servers`: repeated ids, and consoles without a port, or with one at a Unix socket. */
export function serverFaults(servers: readonly PlacedServer[]): readonly ConfigFault[] {
  return [...duplicateFaults(servers), ...portFaults(servers)]
}

function* duplicateFaults(servers: readonly PlacedServer[]): Iterable<ConfigFault> {
  const seen = new Map<string, string>()
  for (const { path, server } of servers) {
    const first = seen.get(server.id)
    if (first === undefined) seen.set(server.id, path)
    else yield { path: `${path}.id`, message: `${server.id} is the id of ${first} too, give each server its own` }
  }
}

function* portFaults(servers: readonly PlacedServer[]): Iterable<ConfigFault> {
  for (const { path, server } of servers) {
    for (const [protocol, address] of Object.entries(server.consoles)) {
      const message = address && portProblem(address, protocol)
      if (message !== undefined) yield { path: `${path}.consoles.${protocol}`, message }
    }
  }
}

interface Ports {
  readonly host: string
  readonly port?: number
  readonly tls_port?: number
}

function portProblem({ host, port, tls_port }: Ports, protocol: string): string | undefined {
  const hasPort = port !== undefined || tls_port !== undefined
  if (isUnixHost(host)) return hasPort ? 'is a Unix socket, which has no port: remove port and tls_port' : undefined
  if (hasPort) return undefined
  return protocol === 'spice' ? 'has no port, give port, tls_port or both' : 'has no port, give one'
}
