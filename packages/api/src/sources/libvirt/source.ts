/** The source `libvirt`: domains of one or several connections. */
import type { Protocol } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import { SourceError, SourcePartlyUnavailable } from '../errors.ts'
import { Roster } from '../guests/roster.ts'
import type { ConsoleOptions, Source } from '../source.ts'
import type { LibvirtSourceConfig } from './config.ts'
import { Connection } from './connection.ts'

export interface LibvirtContext {
  readonly log: Logger
  /** The program to call. Default: `virsh`, looked up on the PATH. */
  readonly program?: string
}

/**
 * Creates a source of the domains behind `config.uri`. It listens for lifecycle events, polls all domains, and reads a
 * domain's XML again for each request for its console. Resolves after the first poll, even if libvirt did not respond: see
 * `check`.
 */
export async function createLibvirtSource(config: LibvirtSourceConfig, context: LibvirtContext): Promise<Source> {
  const roster = new Roster({
    onTwin: ({ id, first, second }) =>
      context.log.warn({ serverId: id, first, second }, 'a second domain claims this UUID and is refused'),
    restartMs: config.restart_seconds * 1000,
  })
  const uris = [config.uri].flat()
  const connections = uris.map(
    (uri) => new Connection({ ...context, uri, config, roster, log: context.log.child({ source: 'libvirt', uri }) }),
  )
  await Promise.all(connections.map((connection) => connection.look()))
  return {
    name: 'libvirt',
    list: async () => roster.list().map(({ guest }) => guest.server),
    find: async (id) => roster.find(id)?.guest.server,
    console: ({ id }, protocol, _type, options) => consoleOf(id, protocol, roster, connections, options),
    protocols: ({ id }) => roster.protocols(id),
    check: async () => checkAll(connections),
    subscribe: (listener) => roster.subscribe(listener),
    mayRestart: (id) => roster.mayRestart(id),
    switchedOff: (id) => roster.switchedOff(id),
    serialPorts: async () => roster.serialPorts(),
    onSerialPorts: (listener) => roster.onSerialPorts(listener),
    async [Symbol.asyncDispose]() {
      roster[Symbol.dispose]()
      await Promise.all(connections.map((connection) => connection[Symbol.asyncDispose]()))
    },
  }
}

function checkAll(connections: readonly Connection[]): void {
  const silent = connections.filter(({ failure }) => failure)
  const cause = silent[0]?.failure
  if (!cause) return
  if (silent.length === connections.length) throw new Error('libvirt does not answer', { cause })
  throw new SourcePartlyUnavailable(`${silent.length} of ${connections.length} connections do not answer`, { cause })
}

async function consoleOf(
  id: string,
  protocol: Protocol,
  roster: Roster,
  connections: readonly Connection[],
  options: ConsoleOptions = {},
) {
  const location = roster.find(id)?.location
  const connection = connections.find((each) => location !== undefined && each.owns(location))
  if (!connection) throw new SourceError('InstanceNotFound')
  return connection.console(id, protocol, options)
}
