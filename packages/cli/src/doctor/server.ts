/** Chooses the server whose consoles are checked. */
import { type Client, Forbidden } from '@oriel/sdk'
import { findServer, type Server } from '../cloud/servers.ts'
import { echoed } from '../output.ts'
import type { Passed } from './examination.ts'
import { Problem } from './problem.ts'

/** Servers beyond the first page are not listed: one that runs is enough. */
const PAGE = '200'

/** Lists the first page of the caller's servers. */
export async function firstServers(client: Client, signal: AbortSignal): Promise<readonly Server[]> {
  const operations = await client.negotiate({ signal })
  const { servers } = await operations.listServersDetail({ query: { limit: PAGE } }, { signal })
  return servers.map(({ id, name, status }) => ({ id, name, status }))
}

/** @throws Problem if the caller may not list servers */
export function checkServers(servers: readonly Server[] | Error): Passed<readonly Server[]> {
  if (servers instanceof Forbidden) {
    const remedy = 'Give your role the policy os_compute_api:servers:detail: [policy] of api.toml, policy.yaml of Nova.'
    throw new Problem(`you may not list servers: ${servers.message}`, { side: 'compute API', remedy })
  }
  if (servers instanceof Error) throw servers
  const active = servers.filter(isActive).length
  const more = servers.length >= Number(PAGE) ? ' or more' : ''
  return { value: servers, detail: `${servers.length}${more}, of which ${active} ACTIVE` }
}

/** @param wanted a name or an id. Default: the first server that runs */
export async function chooseServer(
  client: Client,
  servers: readonly Server[],
  wanted: string | undefined,
): Promise<Passed<Server>> {
  const server = wanted === undefined ? servers.find(isActive) : await findServer(client, wanted)
  if (server === undefined) {
    const remedy = 'Start a server, or run `oriel doctor SERVER` as a user who has one: consoles are checked with it.'
    throw new Problem('no server is ACTIVE', { side: 'client', remedy })
  }
  return { value: server, detail: `${echoed(server.name)} (${server.id}) is ${server.status}` }
}

const isActive = ({ status }: Server): boolean => status === 'ACTIVE'
