/** Creates consoles, with the route of the API's microversion. */
import {
  alive,
  at,
  consoleTypes,
  type Microversion,
  microversions,
  type OpenableConsoleType,
  type Route,
  routes,
} from '@oriel/contract'
import type { CallOptions, ClientAt } from './client-at.ts'
import { VersionError } from './errors.ts'

/** A created console and its access URL. */
export interface Console<T extends OpenableConsoleType = OpenableConsoleType> {
  readonly protocol: (typeof consoleTypes)[T]['protocol']
  readonly type: T
  /** The access URL. It contains a console auth token, so it is a secret until the token expires. */
  readonly url: string
}

interface Negotiator {
  negotiate(options?: CallOptions): Promise<ClientAt<Microversion>>
}

/** See `Client.createConsole`. */
export async function createConsole<T extends OpenableConsoleType>(
  client: Negotiator,
  serverId: string,
  type: T,
  options: CallOptions = {},
): Promise<Console<T>> {
  const operations = await client.negotiate(options)
  const creator = creatorAt(operations.microversion, type)
  if (creator === undefined) throw tooOld(operations.microversion, type)
  const { protocol } = consoleTypes[type]
  const create = (operations as Partial<Record<Creator, Create>>)[creator]!
  const body = await create({ server_id: serverId, body: bodyOf(creator, protocol, type) }, options)
  return { protocol, type, url: Object.values(body)[0]!.url }
}

const creators = ['createRemoteConsole', 'getVncConsole', 'getSpiceConsole', 'getSerialConsole'] as const
type Creator = (typeof creators)[number]
type Create = (input: object, options: CallOptions) => Promise<Record<string, { readonly url: string }>>

const creatorAt = (v: Microversion, type: OpenableConsoleType) =>
  creators.find((name) => alive(routes[name], v) && typesOf(routes[name], v).includes(type))

// Each body is an object with one member: an object with the enumeration `type`.
function typesOf({ body }: Route, v: Microversion): readonly unknown[] {
  const [inner] = Object.values((at(body!, v) as Nested).properties)
  const { anyOf = [inner!.properties.type!] } = inner!.properties.type!
  return anyOf.map((literal) => literal.const)
}
interface Nested {
  readonly properties: Readonly<Record<string, { readonly properties: Readonly<Record<string, Enumeration>> }>>
}
interface Enumeration {
  readonly const?: unknown
  readonly anyOf?: readonly Enumeration[]
}

const bodyOf = (creator: Creator, protocol: string, type: string) =>
  creator === 'createRemoteConsole' ? { remote_console: { protocol, type } } : { [routes[creator].action]: { type } }

function tooOld(served: Microversion, type: OpenableConsoleType): VersionError {
  const first = microversions.find((v) => creatorAt(v, type) !== undefined)
  return new VersionError(`Consoles of type ${type} need microversion ${first}, and the API serves up to ${served}`)
}
