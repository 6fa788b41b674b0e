/** The static source: servers as the configuration lists them. */
import { constants, open } from 'node:fs/promises'
import type { Protocol } from '@oriel/contract'
import { SourceError } from '../errors.ts'
import type { Server } from '../server.ts'
import type { ConsoleAddress, Source } from '../source.ts'
import { vmStateOf } from '../status.ts'
import type { StaticServerConfig, StaticSourceConfig } from './config.ts'

/** How much of a console log is read, from its end. */
const MAX_LOG_BYTES = 1_048_576
/**
 * Without `O_NONBLOCK`, opening a pipe without a writer would block one of the few threads of Node's pool for ever. Windows
 * has neither the flag nor such pipes.
 */
const READ_AT_ONCE = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)
/** The host of a server that has one and names no console by which to tell. */
const UNNAMED_HOST = 'localhost'

/** A source of the servers in `config`, which never change. `now` dates them; default: the moment of the call. */
export function createStaticSource(config: StaticSourceConfig, now: () => number = Date.now): Source {
  const createdAt = now()
  const configs = new Map(config.servers.map((server) => [server.id, server]))
  const servers = new Map(config.servers.map((server) => [server.id, toServer(server, createdAt)]))
  return {
    name: 'static',
    list: async () => [...servers.values()].filter(({ vmState }) => vmState !== 'deleted'),
    find: async (id) => servers.get(id),
    console: async ({ id }, protocol) => consoleAddress(configs.get(id), protocol),
    output: async ({ id }) => readLog(configs.get(id)?.console_log),
    [Symbol.asyncDispose]: async () => {},
  }
}

/** The server that an entry of the configuration describes. */
export function toServer(config: StaticServerConfig, createdAt: number): Server {
  return {
    id: config.id,
    name: config.name,
    projectId: config.project_id,
    ...(config.user_id !== undefined && { userId: config.user_id }),
    vmState: vmStateOf[config.status],
    taskState: config.task_state ?? null,
    host: hostOf(config),
    locked: config.locked,
    description: config.description ?? null,
    tags: config.tags,
    createdAt,
  }
}

/** The configured host, none for the empty one; else the first console's; else none for a server that has none yet or any more. */
function hostOf({ host, status, consoles }: StaticServerConfig): string | null {
  if (host !== undefined) return host === '' ? null : host
  if (status === 'SHELVED_OFFLOADED') return null
  const named = Object.values(consoles).find((address) => address !== undefined)?.host
  return named ?? (status === 'BUILD' ? null : UNNAMED_HOST)
}

/** Where such a server's console is. @throws SourceError when it has none. */
export function consoleAddress(config: StaticServerConfig | undefined, protocol: Protocol): ConsoleAddress {
  if (!config) throw new SourceError('InstanceNotFound')
  const address = protocol === 'rdp' ? undefined : config.consoles[protocol]
  if (!address) throw new SourceError(config.status === 'BUILD' ? 'InstanceNotFound' : 'ConsoleTypeUnavailable')
  const { host, port, tls_port: tlsPort, internal_access_path: internalAccessPath }: AnyAddress = address
  return { host, port: port ?? null, tlsPort: tlsPort ?? null, internalAccessPath: internalAccessPath ?? null }
}

/** The consoles' tables have different keys, each optional in some of them. */
interface AnyAddress {
  readonly host: string
  readonly port?: number
  readonly tls_port?: number
  readonly internal_access_path?: string
}

async function readLog(path: string | undefined): Promise<Uint8Array> {
  if (path === undefined) throw new SourceError('ConsoleNotAvailable', 'no console_log is configured')
  try {
    await using file = await open(path, READ_AT_ONCE)
    const stats = await file.stat()
    if (!stats.isFile()) throw new Error('it is no regular file')
    const { size } = stats
    const length = Math.min(size, MAX_LOG_BYTES)
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(length), position: size - length })
    return buffer.subarray(0, bytesRead)
  } catch (cause) {
    throw new SourceError('ConsoleNotAvailable', `cannot read ${path}`, { cause })
  }
}
