/** The static source: servers that the configuration lists. */
import { constants, open } from 'node:fs/promises'
import type { OpenableProtocol, Protocol } from '@oriel/contract'
import { isUnixHost } from '@oriel/runtime'
import { SourceError } from '../errors.ts'
import type { Server } from '../server.ts'
import type { ConsoleAddress, Source, SourceConsole } from '../source.ts'
import { vmStateOf } from '../status.ts'
import type { StaticServerConfig, StaticSourceConfig } from './config.ts'

/** The number of bytes to read from the end of a console log. */
const MAX_LOG_BYTES = 1_048_576
/**
 * Without `O_NONBLOCK`, opening a pipe without a writer would block one of the few threads of Node's pool for ever. Windows
 * has neither the flag nor such pipes.
 */
const READ_AT_ONCE = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)
/** The host of a server on a host whose configuration has neither a host nor a console. */
const UNNAMED_HOST = 'localhost'

/** Creates a source of the servers in `config`, which never change. `now` is their creation time. */
export function createStaticSource(config: StaticSourceConfig, now: () => number = Date.now): Source {
  const createdAt = now()
  const configs = new Map(config.servers.map((server) => [server.id, server]))
  const servers = new Map(config.servers.map((server) => [server.id, toServer(server, createdAt)]))
  return {
    name: 'static',
    list: async () => [...servers.values()].filter(({ vmState }) => vmState !== 'deleted'),
    find: async (id) => servers.get(id),
    console: async ({ id }, protocol, _type, options) => ({
      ...consoleAddress(configs.get(id), protocol),
      ...(options?.withPassword && passwordOf(configs.get(id), protocol)),
    }),
    protocols: ({ id }) => protocolsOf(configs.get(id)),
    output: async ({ id }) => readLog(configs.get(id)?.console_log),
    [Symbol.asyncDispose]: async () => {},
  }
}

/** Converts an entry of the configuration to a server. */
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

/**
 * The configured host, null if empty. Else the first console's host, which is this one for a Unix socket. Else null for a
 * server that is not on a host.
 */
function hostOf({ host, status, consoles }: StaticServerConfig): string | null {
  if (host !== undefined) return host === '' ? null : host
  if (status === 'SHELVED_OFFLOADED') return null
  const named = Object.values(consoles).find((address) => address !== undefined)?.host
  if (named !== undefined && !isUnixHost(named)) return named
  return named === undefined && status === 'BUILD' ? null : UNNAMED_HOST
}

/** Returns the address of a console. @throws SourceError if the server lacks it. */
export function consoleAddress(config: StaticServerConfig | undefined, protocol: Protocol): ConsoleAddress {
  if (!config) throw new SourceError('InstanceNotFound')
  const address = protocol === 'rdp' ? undefined : config.consoles[protocol]
  if (!address) throw new SourceError(config.status === 'BUILD' ? 'InstanceNotFound' : 'ConsoleTypeUnavailable')
  const { host, port, tls_port: tlsPort, internal_access_path: internalAccessPath }: AnyAddress = address
  return { host, port: port ?? null, tlsPort: tlsPort ?? null, internalAccessPath: internalAccessPath ?? null }
}

/** The protocols that the configuration gives an address for. */
export function protocolsOf({ consoles }: Partial<StaticServerConfig> = {}): readonly OpenableProtocol[] {
  return protocols.filter((protocol) => consoles?.[protocol] !== undefined)
}
const protocols = ['vnc', 'serial', 'spice', 'mks'] as const satisfies readonly OpenableProtocol[]

function passwordOf(config: StaticServerConfig | undefined, protocol: Protocol): Pick<SourceConsole, 'password'> {
  const password = protocol === 'vnc' ? config?.consoles.vnc?.password : undefined
  return password === undefined ? {} : { password }
}

/** The keys of all consoles' tables, of which each table has some. */

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
    if (!stats.isFile()) throw new Error('not a regular file')
    const { size } = stats
    const length = Math.min(size, MAX_LOG_BYTES)
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(length), position: size - length })
    return buffer.subarray(0, bytesRead)
  } catch (cause) {
    throw new SourceError('ConsoleNotAvailable', `cannot read ${path}`, { cause })
  }
}
