/** Lists servers, and finds one by name or id. */
import { type Client, NotFound } from '@oriel/sdk'
import { nearest, suggestion } from '../arguments/nearest.ts'
import { Failure } from '../failure.ts'
import { echoed } from '../output.ts'

/** A server as the API lists it. */
export interface Server {
  readonly id: string
  readonly name: string
  readonly status: string
}

/** The most servers that are listed. A list that is longer needs a filter, which is Nova's. */
const MAX_SERVERS = 10_000

/** Returns the servers that the caller may see, page after page. @param name only those with this name */
export async function listServers(client: Client, name?: string): Promise<Server[]> {
  const operations = await client.negotiate()
  const found: Server[] = []
  for (let marker: string | undefined; ; ) {
    const query = { ...(name !== undefined && { name: `^${escaped(name)}$` }), ...(marker !== undefined && { marker }) }
    const { servers, servers_links = [] } = await operations.listServersDetail({ query })
    found.push(...servers.map(({ id, name, status }) => ({ id, name, status })))
    const last = servers.at(-1)
    if (last === undefined || !servers_links.some(({ rel }) => rel === 'next') || found.length >= MAX_SERVERS)
      return found
    marker = last.id
  }
}

// Nova reads the filter as a regular expression.
const escaped = (name: string) => name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')

/**
 * Returns the server with this id or name.
 * @throws Failure `notFound`, with the nearest names, or with the ids of several servers of this name
 */
export async function findServer(client: Client, wanted: string): Promise<Server> {
  if (wanted === '') throw new Failure('usage', 'The name of the server is empty.')
  const byId = UUID.test(wanted) ? await showServer(client, wanted) : undefined
  if (byId !== undefined) return byId
  const named = (await listServers(client, wanted)).filter(({ name }) => name === wanted)
  if (named.length === 1) return named[0]!
  if (named.length > 1) throw ambiguous(wanted, named)
  const all = await listServers(client)
  return all.find(({ id, name }) => id === wanted || name === wanted) ?? missing(wanted, all)
}

const UUID = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i

async function showServer(client: Client, server_id: string): Promise<Server | undefined> {
  const operations = await client.negotiate()
  try {
    const { id, name, status } = (await operations.showServer({ server_id })).server
    return { id, name, status }
  } catch (error) {
    if (error instanceof NotFound) return undefined
    throw error
  }
}

function ambiguous(name: string, servers: readonly Server[]): Failure {
  const rows = servers.map(({ id, status }) => `\n  ${id}  ${status}`)
  return new Failure(
    'notFound',
    `${servers.length} servers are named ${echoed(name)}. Give one of these ids:${rows.join('')}`,
  )
}

function missing(wanted: string, servers: readonly Server[]): never {
  const near = nearest(
    wanted,
    servers.map(({ name }) => name),
    3,
  ).map(echoed)
  const help = suggestion(near) || ' See oriel servers.'
  throw new Failure('notFound', `There is no server ${echoed(wanted)} in this project.${help}`)
}
