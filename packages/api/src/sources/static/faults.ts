/** Faults of static servers that concern several keys at once. */
import type { ConfigFault } from '@oriel/runtime'
import type { StaticServerConfig } from './config.ts'

interface PlacedServer {
  /** The server's key path. */
  readonly path: string
  readonly server: StaticServerConfig
}

/** Returns the faults of `servers`: repeated ids, and SPICE consoles without a port. */
export function serverFaults(servers: readonly PlacedServer[]): readonly ConfigFault[] {
  return [...duplicateFaults(servers), ...spiceFaults(servers)]
}

function* duplicateFaults(servers: readonly PlacedServer[]): Iterable<ConfigFault> {
  const seen = new Map<string, string>()
  for (const { path, server } of servers) {
    const first = seen.get(server.id)
    if (first === undefined) seen.set(server.id, path)
    else yield { path: `${path}.id`, message: `${server.id} is the id of ${first} too, give each server its own` }
  }
}

function* spiceFaults(servers: readonly PlacedServer[]): Iterable<ConfigFault> {
  for (const { path, server } of servers) {
    const { spice } = server.consoles
    if (spice === undefined || spice.port !== undefined || spice.tls_port !== undefined) continue
    yield { path: `${path}.consoles.spice`, message: 'has no port, give port, tls_port or both' }
  }
}
