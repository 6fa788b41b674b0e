/** The recordings' servers as a source whose driver fails as a recording says. */
import { randomUUID } from 'node:crypto'
import { type ConsoleAddress, type Server, type Source, SourceError, type SourceErrorCode } from '@oriel/api'
import { consoleHosts, consolePort, spiceTlsPort, type WorldServer, worldServer } from './world.ts'

/** Nova's exceptions and their messages; any other is an unexpected error. */
const foreseen: Readonly<Record<string, readonly [code: SourceErrorCode, message?: string]>> = {
  InstanceNotFound: ['InstanceNotFound'],
  NotImplementedError: ['NotImplemented'],
  ConsoleTypeUnavailable: ['ConsoleTypeUnavailable'],
  ConsoleNotAvailable: ['ConsoleNotAvailable'],
  SocketPortRangeExhaustedException: ['SocketPortRangeExhausted', 'Not able to acquire a free port for 127.0.0.1'],
  ImageSerialPortNumberInvalid: [
    'SerialPortNumberInvalid',
    "Number of serial ports specified in flavor is invalid: expected an integer, got 'many'",
  ],
  ImageSerialPortNumberExceedFlavorValue: [
    'SerialPortNumberExceeds',
    'Forbidden to exceed flavor value of number of serial ports passed in image meta.',
  ],
}

export interface WorldSource extends Source {
  /** Adds a server like `state` under a new id. */
  add(state: string): WorldServer
  change(id: string, change: Partial<Server>): void
  /** While set, every driver call throws it. */
  failure: Error | undefined
}

export function createWorldSource(servers: readonly WorldServer[]): WorldSource {
  const byId = new Map(servers.map((server) => [server.id, server]))
  const source: WorldSource = {
    name: 'world',
    failure: undefined,
    list: async () => [...byId.values()].filter(({ vmState }) => vmState !== 'deleted'),
    find: async (id) => byId.get(id),
    console: async (server, protocol, type) => {
      drive(server, source.failure)
      return addressOf(protocol, type)
    },
    output: async (server) => {
      drive(server, source.failure)
      return byId.get(server.id)!.log
    },
    add(state) {
      const server = { ...worldServer(state), id: randomUUID() }
      byId.set(server.id, server)
      return server
    },
    change: (id, change) => byId.set(id, { ...byId.get(id)!, ...change }),
    [Symbol.asyncDispose]: async () => undefined,
  }
  return source
}

function drive(server: Server, failure: Error | undefined): void {
  if (failure) throw failure
  const { raises } = server as WorldServer
  if (raises === undefined) return
  const known = foreseen[raises]
  throw known ? new SourceError(...known) : new Error(`${raises} of the driver`)
}

function addressOf(protocol: string, type: string): ConsoleAddress {
  const at = { host: consoleHosts[protocol as keyof typeof consoleHosts], port: consolePort }
  if (type === 'spice-direct') return { ...at, tlsPort: spiceTlsPort, internalAccessPath: null }
  return { ...at, ...(protocol === 'spice' ? { tlsPort: spiceTlsPort } : {}), internalAccessPath: randomUUID() }
}
