/** `oriel servers` */
import { type OpenableConsoleType, openableConsoleTypes } from '@oriel/contract'
import { type Client, FaultError, VersionError } from '@oriel/sdk'
import { listServers } from '../cloud/servers.ts'
import { signIn } from '../cloud/sign-in.ts'
import { print, printJson, say, table } from '../output.ts'
import type { Call } from './command.ts'

/** How many servers are asked for their consoles at a time. */
const AT_A_TIME = 4

/** Lists the servers, with `--consoles` also the types of console that each has. */
export async function run({ values }: Call): Promise<undefined> {
  const { client } = signIn(values)
  const servers = await listServers(client)
  if (values.consoles === undefined) {
    if (values.json) return printJson({ servers })
    return print(
      table(
        ['ID', 'NAME', 'STATUS'],
        servers.map(({ id, name, status }) => [id, name, status]),
      ),
    )
  }
  say(`asking ${servers.length} servers for their consoles`)
  const consoles = await inTurns(servers, ({ id }) => typesOf(client, id))
  if (values.json) return printJson({ servers: servers.map((server, i) => ({ ...server, consoles: consoles[i] })) })
  const rows = servers.map(({ id, name, status }, i) => [id, name, status, consoles[i]!.join(' ')])
  print(table(['ID', 'NAME', 'STATUS', 'CONSOLES'], rows))
}

/** Returns the types that a server has. The API says so only when it creates one. */
async function typesOf(client: Client, serverId: string): Promise<OpenableConsoleType[]> {
  const found = await Promise.all(openableConsoleTypes.map((type) => has(client, serverId, type)))
  return openableConsoleTypes.filter((_, i) => found[i])
}

async function has(client: Client, serverId: string, type: OpenableConsoleType): Promise<boolean> {
  try {
    await client.createConsole(serverId, type)
    return true
  } catch (error) {
    if (error instanceof VersionError) return false
    if (error instanceof FaultError && LACKING.has(error.status)) return false
    throw error
  }
}

/** Nova's statuses for a type that is not available, a server that was deleted meanwhile, and one that is not running. */
const LACKING: ReadonlySet<number> = new Set([400, 404, 409, 501])

async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let i = 0; i < items.length; i += AT_A_TIME) {
    results.push(...(await Promise.all(items.slice(i, i + AT_A_TIME).map(work))))
  }
  return results
}
