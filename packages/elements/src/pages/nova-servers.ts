/**
 * Lists the machines of a Nova, whose list has neither a total nor the consoles of a machine: reads all machines, and searches
 * among them here.
 */
import { type Client, Forbidden } from '@oriel/sdk'
import { type ListQuery, PAGE_SIZE } from './list-query.ts'
import type { ServerPage, ServerRow } from './server-page.ts'

/** Nova's default maximum of a page is 1000. */
const MAX_PAGES = 10

/** Returns the page that `query` asks for. Nova is asked for the machines of all projects first, and then for the user's own. */
export async function listOfNova(client: Client, query: ListQuery, signal: AbortSignal): Promise<ServerPage> {
  const rows = await readAll(client, { all_tenants: 1 }, signal).catch((error: unknown) => {
    if (error instanceof Forbidden) return readAll(client, {}, signal)
    throw error
  })
  return pageOf(rows, query)
}

async function readAll(client: Client, scope: { all_tenants?: 1 }, signal: AbortSignal): Promise<readonly ServerRow[]> {
  const operations = await client.negotiate({ signal })
  const rows: ServerRow[] = []
  for (let read = 0; read < MAX_PAGES; read++) {
    const marker = rows.at(-1)?.id
    const query = { ...scope, ...(marker !== undefined && { marker }) }
    const answer = await operations.listServersDetail({ query }, { signal })
    rows.push(...answer.servers.map(rowOf))
    if (answer.servers.length === 0 || answer.servers_links === undefined) break
  }
  return rows
}

type Listed = Pick<ServerRow, 'id' | 'name' | 'status'>

const rowOf = ({ id, name, status }: Listed): ServerRow => ({
  ...{ id, name, status, consoles: null, unanswered_since: null },
  unavailable: reasons[status] ?? null,
})

const reasons: Readonly<Record<string, ServerRow['unavailable']>> = {
  ...{
    SHUTOFF: 'off',
    SHELVED: 'off',
    SHELVED_OFFLOADED: 'off',
    SUSPENDED: 'off',
    SOFT_DELETED: 'off',
    DELETED: 'off',
  },
  ...{ BUILD: 'building', MIGRATING: 'moving' },
}

/** Searches, sorts and cuts as Oriel's API does. */
export function pageOf(rows: readonly ServerRow[], { search, status, page }: ListQuery): ServerPage {
  const text = search.trim().toLowerCase()
  const found = rows.filter(({ name, id }) => name.toLowerCase().includes(text) || id.toLowerCase().includes(text))
  const wanted = found.filter((row) => status === '' || row.status === status)
  const start = (page - 1) * PAGE_SIZE
  return {
    servers: wanted.toSorted((a, b) => names.compare(a.name, b.name)).slice(start, start + PAGE_SIZE),
    total: wanted.length,
    statuses: [...new Set(found.map((row) => row.status))].sort().map((each) => ({
      status: each,
      servers: found.filter((row) => row.status === each).length,
    })),
    may: { open: ['control'], list_sessions: false, end_sessions: false },
  }
}

const names = new Intl.Collator('en', { numeric: true })
