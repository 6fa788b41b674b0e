/** Decides which proxy holds a serial port: it serves one connection, so that only one of them may dial it. */
import { createHash } from 'node:crypto'
import type { SerialView, StandingProxy } from './store.ts'

/** The proxies and their viewers, as the store has them at one moment. */
export interface Holders {
  readonly standing: readonly StandingProxy[]
  readonly viewed: readonly SerialView[]
}

/**
 * Returns the proxy that must hold the port of a server, or `undefined` if none may. Every replica of the API comes to the same
 * result: rendezvous hashing chooses among the standing proxies, so that a proxy that comes or goes moves only its own
 * share. A proxy of another group that has a viewer of the port takes precedence, because that viewer would wait in silence.
 */
export function holderOf(serverId: string, { standing, viewed }: Holders): string | undefined {
  const chosen = highest(serverId, standing)
  const views = viewed.filter((view) => view.serverId === serverId)
  const groups = new Map(standing.map(({ proxyId, group }) => [proxyId, group]))
  const [first] = views
  if (!chosen || !first || views.some(({ proxyId }) => groups.get(proxyId) === chosen.group)) return chosen?.proxyId
  return groups.has(first.proxyId) ? first.proxyId : undefined
}

function highest(serverId: string, standing: readonly StandingProxy[]): StandingProxy | undefined {
  const ranked = standing.map((proxy) => ({ proxy, rank: rankOf(serverId, proxy.proxyId) }))
  return ranked.toSorted((a, b) => b.rank.compare(a.rank))[0]?.proxy
}

const rankOf = (serverId: string, proxyId: string) => createHash('sha256').update(`${proxyId} ${serverId}`).digest()
