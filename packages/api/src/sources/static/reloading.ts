/** The static source with reloads: of the configured servers, and of the file when it changes. */
import { unwatchFile, watchFile } from 'node:fs'
import { resolve } from 'node:path'
import { ConfigError, faultLine, type Logger, loadConfig, readingFailure, readTextFile } from '@oriel/runtime'
import * as Type from 'typebox'
import type { Consoles } from '../guests/guest.ts'
import { Roster } from '../guests/roster.ts'
import { isOff } from '../server.ts'
import type { Source } from '../source.ts'
import { type StaticServerConfig, type StaticSourceConfig, staticServerConfig } from './config.ts'
import { serverFaults } from './faults.ts'
import { consoleAddress, createStaticSource, protocolsOf, toServer } from './static.ts'

export interface ReloadingContext {
  readonly log: Logger
  /** How often to check the file for changes, in milliseconds. Default: 1000. */
  readonly lookEveryMs?: number
}

/** A source of servers from the configuration. */
export interface ReloadingSource extends Source {
  /** Replaces the configured servers by `servers`, and reads the file again. */
  reload(servers: readonly StaticServerConfig[]): void
}

const fileSchema = Type.Object(
  { servers: Type.Array(staticServerConfig, { default: [] }) },
  { additionalProperties: false },
)
const LOOK_EVERY_MS = 1000
/** A file that is being written may be empty for a moment, and an empty list would void every token. */
const SETTLE_MS = 100

/**
 * Creates a source of the servers in `config` and in its optional file. For a faulty or missing file, it logs each fault with
 * its key path and keeps the previous servers. Listeners are notified of servers that are removed or move.
 * @throws ConfigError when the file is faulty at the start
 */
export function createReloadingSource(config: StaticSourceConfig, context: ReloadingContext): ReloadingSource {
  const { log, lookEveryMs = LOOK_EVERY_MS } = context
  const path = config.file === undefined ? undefined : resolve(config.file)
  const startedAt = Date.now()
  const roster = new Roster()
  let listed: readonly StaticServerConfig[] = config.servers
  let current = sourceOf(serversOf(listed, path), roster, startedAt)
  const reload = (why: string, next = listed) => {
    try {
      const servers = serversOf(next, path)
      listed = next
      current = sourceOf(servers, roster, startedAt)
      log.info({ file: path, why, servers: servers.length }, 'servers read again')
    } catch (error) {
      report(log, path, error)
    }
  }
  const watch = path === undefined ? undefined : watchText(path, lookEveryMs, () => reload('the file changed'))
  return {
    name: 'static',
    list: (options) => current.list(options),
    find: (id, options) => current.find(id, options),
    console: (server, protocol, type, options) => current.console(server, protocol, type, options),
    protocols: (server) => current.protocols!(server),
    output: (server, options) => current.output!(server, options),
    subscribe: (listener) => roster.subscribe(listener),
    switchedOff: (id) => roster.switchedOff(id),
    serialPorts: async () => roster.serialPorts(),
    onSerialPorts: (listener) => roster.onSerialPorts(listener),
    reload: (servers) => reload('configuration reloaded', servers),
    async [Symbol.asyncDispose]() {
      watch?.[Symbol.dispose]()
      await current[Symbol.asyncDispose]()
    },
  }
}

/** Polls the file, which, unlike a watch, notices renames and changed links on any file system. */
function watchText(path: string, lookEveryMs: number, then: () => void): Disposable {
  let settling: NodeJS.Timeout | undefined
  const changed = () => {
    clearTimeout(settling)
    settling = setTimeout(then, SETTLE_MS)
  }
  watchFile(path, { interval: lookEveryMs, persistent: false }, changed)
  return {
    [Symbol.dispose]: () => {
      unwatchFile(path, changed)
      clearTimeout(settling)
    },
  }
}

/** Returns the configured servers and then those of the file. @throws ConfigError with paths within the file. */
function serversOf(servers: readonly StaticServerConfig[], path?: string): readonly StaticServerConfig[] {
  if (path === undefined) return servers
  const placed = servers.map((server, index) => ({ path: `api.toml's servers[${index}]`, server }))
  const refine = ({ servers: more }: Type.Static<typeof fileSchema>) =>
    serverFaults([...placed, ...more.map((server, index) => ({ path: `servers[${index}]`, server }))])
  return [...servers, ...loadConfig(fileSchema, { toml: textOf(path), refine }).servers]
}

function textOf(path: string): string {
  try {
    return readTextFile(path)
  } catch (cause) {
    throw new ConfigError([{ path: '', message: `${path} cannot be read (${readingFailure(cause)})` }], { cause })
  }
}

/** Creates the source again and puts its servers into the roster, which reports the changes. */
function sourceOf(servers: readonly StaticServerConfig[], roster: Roster, startedAt: number): Source {
  const ids = new Set(servers.map(({ id }) => id))
  for (const { location } of roster.list()) if (!ids.has(location)) roster.set(location, undefined)
  for (const config of servers) {
    const server = toServer(config, startedAt)
    roster.set(config.id, { server, live: !isOff(server.vmState), consoles: consolesOf(config) })
  }
  return createStaticSource({ kind: 'static', servers: [...servers] }, () => startedAt)
}

function consolesOf(config: StaticServerConfig): Consoles {
  return Object.fromEntries(protocolsOf(config).map((protocol) => [protocol, consoleAddress(config, protocol)]))
}

function report(log: Logger, file: string | undefined, error: unknown): void {
  const faults = error instanceof ConfigError ? error.faults.map((fault) => faultLine(fault, file)) : undefined
  log.error(faults ? { file, faults } : { file, err: error }, 'cannot reload the servers, keeping the previous ones')
}
