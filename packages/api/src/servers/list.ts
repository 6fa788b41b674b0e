/** GET /servers and GET /servers/detail. */
import { BASE_PATH, type NewestResponse } from '@oriel/contract'
import type { Identity } from '../auth/authenticator.ts'
import { HttpFault } from '../http/faults.ts'
import type { Call, Operation } from '../http/mount.ts'
import { enforce, isAdmin } from '../policy/enforce.ts'
import { forbidden } from '../policy/forbidden.ts'
import type { Policy, PolicyRule } from '../policy/rules.ts'
import type { Server } from '../sources/server.ts'
import type { Source } from '../sources/source.ts'
import { statusOf } from '../sources/status.ts'
import { withinDeadline } from '../sources/within-deadline.ts'
import { nameFilter } from './name-filter.ts'
import { documentOf, referenceTo } from './view.ts'

/** The default of Nova's `[api]max_limit`. */
const MAX_LIMIT = 1000

export interface ServerDeps {
  readonly config: { readonly policy: Policy }
  readonly source: Source
}

/** Lists the caller's servers with id, name and links. */
export function listServers(deps: ServerDeps): Operation<unknown, NewestResponse<'listServers'>> {
  return listing(deps, { rule: 'os_compute_api:servers:index', path: '/servers', view: referenceTo })
}

/** Lists the caller's servers in full. */
export function listServersDetail(deps: ServerDeps): Operation<unknown, NewestResponse<'listServersDetail'>> {
  return listing(deps, { rule: 'os_compute_api:servers:detail', path: '/servers/detail', view: documentOf })
}

interface Listing<Document> {
  readonly rule: PolicyRule
  readonly path: string
  readonly view: (server: Server, base: string) => Document
}

function listing<Document>({ config, source }: ServerDeps, { rule, path, view }: Listing<Document>) {
  return {
    async handle(call: Call) {
      enforce(config.policy, rule, call.identity)
      const wanted = filters(call.query, call.identity, rule)
      const all = await withinDeadline(call.signal, source.list({ signal: call.signal }))
      const { page, next } = paged(all.filter(wanted), call.query)
      return {
        servers: page.map((server) => view(server, call.base)),
        ...(next !== undefined && { servers_links: [{ rel: 'next', href: nextPage(call, path, next) }] }),
      }
    },
  }
}

type Query = ReadonlyMap<string, string>

/** Returns a test for servers that the caller may see and that match the known filters. Ignores unknown filters. */
function filters(query: Query, identity: Identity, rule: PolicyRule): (server: Server) => boolean {
  if (asksForAll(query) && !isAdmin(identity)) throw forbidden(`${rule}:get_all_tenants`)
  const allProjects = asksForAll(query) || identity.everyProject === true
  const projectId = allProjects ? (query.get('project_id') ?? query.get('tenant_id')) : identity.projectId
  const named = query.has('name') ? nameFilter(query.get('name')!) : () => true
  const status = query.get('status')?.toUpperCase()
  return (server) =>
    server.vmState !== 'deleted' &&
    (projectId === undefined || server.projectId === projectId) &&
    (status === undefined || statusOf(server) === status) &&
    named(server.name)
}

// `all_tenants`, `all_tenants=1` and `=True` ask for all projects; clients also send an explicit `0` or `False`.
const asksForAll = (query: Query) =>
  query.has('all_tenants') && !['0', 'false', 'f', 'no', 'n', 'off'].includes(query.get('all_tenants')!.toLowerCase())

/** Returns at most `limit` servers after `marker`. `next` is the id of the last one if more follow. */
function paged(servers: readonly Server[], query: Query): { page: readonly Server[]; next?: string } {
  const marker = query.get('marker')
  const start = marker === undefined ? 0 : servers.findIndex(({ id }) => id === marker) + 1
  if (marker !== undefined && start === 0) throw new HttpFault(400, `marker [${marker}] not found`)
  const end = start + limitOf(query.get('limit'))
  const page = servers.slice(start, end)
  return end < servers.length && page.length > 0 ? { page, next: page.at(-1)!.id } : { page }
}

function limitOf(text: string | undefined): number {
  if (text === undefined || text === '') return MAX_LIMIT
  if (!/^\d+$/.test(text)) throw new HttpFault(400, 'Invalid input for limit: must be an integer that is not negative')
  return Math.min(Number(text), MAX_LIMIT)
}

function nextPage({ query, base }: Call, path: string, marker: string): string {
  return `${base}${BASE_PATH}${path}?${new URLSearchParams([...new Map([...query, ['marker', marker]])])}`
}
