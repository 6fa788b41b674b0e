/** GET /oriel/v1/servers: the servers that a caller may see, with the consoles that each has. */
import {
  type ConsoleRole,
  consoleTypes,
  type ExtensionResponse,
  type OpenableConsoleType,
  openableConsoleTypes,
  type ServerConsoles,
} from '@oriel/contract'
import type { Identity } from '../auth/authenticator.ts'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { allows, sees } from '../policy/enforce.ts'
import { type Policy, REMOTE_CONSOLES_RULE } from '../policy/rules.ts'
import { isOff, type Server } from '../sources/server.ts'
import type { Source } from '../sources/source.ts'
import { statusOf } from '../sources/status.ts'
import { withinDeadline } from '../sources/within-deadline.ts'

const MAX_LIMIT = 1000

export interface ListDeps {
  readonly config: {
    readonly policy: Policy
    readonly consoles: Readonly<Record<OpenableConsoleType, { readonly enabled: boolean }>>
  }
  readonly source: Source
  /** Absent: there are no screenshots. */
  readonly screens?: object
}

type List = ExtensionResponse<'listServersWithConsoles'>

/** Lists the servers of the caller's project, or of every project for callers who see all, by name. */
export function listServersWithConsoles(deps: ListDeps): ExtensionOperations['listServersWithConsoles'] {
  return async function listServersWithConsoles({ query, identity, signal }): Promise<List> {
    const all = await withinDeadline(signal, deps.source.list({ signal }))
    const found = all.filter((server) => isVisible(server, identity) && matches(server, query.get('search') ?? ''))
    const status = query.get('status')?.toUpperCase()
    const wanted = found.filter((server) => status === undefined || statusOf(server) === status).toSorted(byName)
    const start = Number(query.get('offset') ?? 0)
    const limit = Math.min(Number(query.get('limit') ?? MAX_LIMIT), MAX_LIMIT)
    return {
      servers: wanted.slice(start, start + limit).map((server) => documentOf(server, deps)),
      total: wanted.length,
      statuses: countsOf(found),
      may: rightsOf(deps, identity),
    }
  }
}

const isVisible = ({ vmState, projectId }: Server, identity: Identity) =>
  vmState !== 'deleted' && sees(identity, projectId)

/** Whether name or id contain the text. The case does not count. */
function matches({ name, id }: Server, text: string): boolean {
  const wanted = text.trim().toLowerCase()
  return name.toLowerCase().includes(wanted) || id.toLowerCase().includes(wanted)
}

/** Sorts `web-2` before `web-10`, and servers with the same name by their ids. */
const byName = (a: Server, b: Server) => names.compare(a.name, b.name) || (a.id < b.id ? -1 : 1)
const names = new Intl.Collator('en', { numeric: true })

function documentOf(server: Server, deps: ListDeps): ServerConsoles {
  return {
    id: server.id,
    name: server.name,
    project_id: server.projectId,
    status: statusOf(server),
    consoles: consolesOf(server, deps),
    unavailable: unavailableBecause(server),
    unanswered_since: server.unansweredSince === undefined ? null : new Date(server.unansweredSince).toISOString(),
  }
}

function consolesOf(server: Server, { source, config }: ListDeps): OpenableConsoleType[] | null {
  const protocols = source.protocols?.(server)
  if (protocols === undefined) return null
  return openableConsoleTypes.filter(
    (type) => config.consoles[type].enabled && protocols.includes(consoleTypes[type].protocol),
  )
}

function unavailableBecause({ vmState, taskState, host }: Server): ServerConsoles['unavailable'] {
  if (taskState === 'deleting') return 'deleting'
  if (taskState === 'migrating') return 'moving'
  if (isOff(vmState)) return 'off'
  return host === null ? 'building' : null
}

function countsOf(servers: readonly Server[]): List['statuses'] {
  const counts = Map.groupBy(servers, statusOf)
  return [...counts].map(([status, group]) => ({ status, servers: group.length })).toSorted(byStatus)
}

const byStatus = (a: { readonly status: string }, b: { readonly status: string }) => (a.status < b.status ? -1 : 1)

function rightsOf({ config: { policy }, screens }: ListDeps, identity: Identity): List['may'] {
  const mayCreate = { control: REMOTE_CONSOLES_RULE, watch: 'oriel:consoles:create' } as const
  const roles: readonly ConsoleRole[] = ['control', 'watch']
  return {
    open: roles.filter((role) => allows(policy, mayCreate[role], identity)),
    list_sessions: allows(policy, 'oriel:sessions:list', identity),
    end_sessions: allows(policy, 'oriel:sessions:end', identity),
    show_screenshots: screens !== undefined && allows(policy, 'oriel:screenshots:show', identity),
  }
}
