/** Derives console addresses from the proxy's listeners, so that the configuration states each port only once. */
import { createServer } from 'node:net'
import { ApiConfig } from '@oriel/api'
import type { ProxyConfig } from '@oriel/proxy'
import { formatListen, listenOn, parseListen } from '@oriel/runtime'
import * as Type from 'typebox'

type ListenerConfig = ProxyConfig['listen'][number]
type Consoles = ApiConfig['consoles']
type ConsoleName = keyof Consoles
const consoles = ApiConfig.properties.consoles.properties
const names = Object.keys(consoles) as ConsoleName[]

type ConsoleTable = Type.TObject<{ enabled: Type.TBoolean; base_url: Type.TOptional<Type.TString> }>

/** The API's table `consoles` without defaults for `base_url`, so that an absent one is distinguishable from a given one. */
export const consolesWithoutDefaults = Type.Object(
  Object.fromEntries(names.map((name) => [name, withoutDefault(name)])) as Record<ConsoleName, ConsoleTable>,
  { additionalProperties: false, default: {} },
)

function withoutDefault(name: ConsoleName): ConsoleTable {
  const { enabled } = consoles[name].properties
  const properties = { enabled, base_url: Type.Optional(Type.String()) }
  return Type.Object(properties, { additionalProperties: false, default: {} })
}

/**
 * Returns each console's address: the given one, else that of the first listener which serves the console type, else
 * the API's default: then no listener of this process serves the type.
 */
export function followListeners(
  given: Type.Static<typeof consolesWithoutDefaults>,
  listeners: readonly ListenerConfig[],
): Consoles {
  const entries = names.map((name) => [name, { base_url: addressOf(name, listeners), ...given[name] }])
  return Object.fromEntries(entries) as Consoles
}

function addressOf(name: ConsoleName, listeners: readonly ListenerConfig[]): string {
  const usual = new URL((consoles[name].properties.base_url as { default?: string }).default!)
  const listener = listeners.find(({ consoles }) => consoles.some((served: string) => served === name))
  if (!listener) return usual.href
  const origin = originOf(listener).replace(/^http/, usual.protocol === 'ws:' ? 'ws' : 'http')
  // A listener with several console types serves each under a path prefix.
  const prefix = listener.consoles.length > 1 ? `/${name}` : ''
  return `${origin}${prefix}${usual.pathname}`
}

/**
 * Returns the origin of a listener's pages: from `base_url` if it is set, else from the address, with loopback in place of
 * a wildcard address.
 */
export function originOf({ address, tls, base_url }: ListenerConfig): string {
  if (base_url !== undefined) return new URL(base_url).origin
  const { host, port } = parseListen(address)
  const named = ANY_ADDRESS[host] ?? host
  return new URL(`${tls === undefined ? 'http' : 'https'}://${formatListen({ host: named, port })}`).origin
}

const ANY_ADDRESS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

/** Returns the origins at which users can open a listener's pages. On loopback, `localhost` is one of them. */
export function originsOf(listener: ListenerConfig): readonly string[] {
  const origin = originOf(listener)
  const local = new URL(origin)
  if (!['127.0.0.1', '[::1]'].includes(local.hostname)) return [origin]
  local.hostname = 'localhost'
  return [origin, local.origin]
}

/**
 * Replaces each port 0 by a free port, because console addresses must be known before the proxy listens. The ports are
 * released again until then.
 */
export async function withFreePorts(listeners: readonly ListenerConfig[]): Promise<ListenerConfig[]> {
  await using held = new AsyncDisposableStack()
  return await Promise.all(
    listeners.map(async (listener) => ({ ...listener, address: await withPort(listener.address, held) })),
  )
}

/**
 * Keeps the ports that were chosen for port 0: each listener of `next` gets the actual address of the one in `before` that was
 * configured with the same address.
 * @param settled the listeners of `before` with their actual addresses, in the same order
 */
export function withPreviousPorts(
  before: readonly ListenerConfig[],
  settled: readonly ListenerConfig[],
  next: readonly ListenerConfig[],
): ListenerConfig[] {
  const indexes = Map.groupBy(settled.keys(), (i) => before[i]!.address)
  return next.map((listener) => {
    const index = indexes.get(listener.address)?.shift()
    return index === undefined ? listener : { ...listener, address: settled[index]!.address }
  })
}

async function withPort(address: string, held: AsyncDisposableStack): Promise<string> {
  const { host, port } = parseListen(address)
  if (port !== 0) return address
  const bound = await listenOn(held.use(createServer()), { host, port })
  return formatListen({ host, port: parseListen(bound).port })
}
