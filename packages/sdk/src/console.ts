/** Creates consoles, with the route of the API's microversion. */
import {
  alive,
  consoleTypes,
  EXPIRES_HEADER,
  type Microversion,
  microversions,
  type OpenableConsoleType,
  type Route,
  routes,
} from '@oriel/contract'
import type { AnyInput, CallOptions, ClientAt } from './client-at.ts'
import { consolePage } from './console-page.ts'
import { AnswerError, circumstances, type Reply, VersionError } from './errors.ts'

/** A created console and its access URL. */
export interface Console<T extends OpenableConsoleType = OpenableConsoleType> {
  readonly protocol: (typeof consoleTypes)[T]['protocol']
  readonly type: T
  /** The access URL. It contains a console auth token, so it is a secret until the token expires. */
  readonly url: string
  /**
   * Where a browser opens the console: `url`, or for a WebSocket URL the page beside it, see {@link consolePage}. A secret
   * like `url`.
   */
  readonly pageUrl: string
  /** When `url` stops opening the console. Oriel's API tells it; `undefined` with any other. */
  readonly expiresAt: Date | undefined
}

interface Negotiator {
  negotiate(options?: CallOptions): Promise<ClientAt<Microversion>>
}

/** Calls a route of the API. */
export type CallRoute = (
  name: Creator,
  v: Microversion,
  input: AnyInput,
  options: CallOptions,
) => Promise<{ readonly body: unknown; readonly reply: Reply }>

/** See `Client.createConsole`. */
export async function createConsole<T extends OpenableConsoleType>(
  client: Negotiator,
  call: CallRoute,
  serverId: string,
  type: T,
  options: CallOptions = {},
): Promise<Console<T>> {
  const { microversion } = await client.negotiate(options)
  const creator = creatorAt(microversion, type)
  if (creator === undefined) throw tooOld(microversion, type)
  const { protocol } = consoleTypes[type]
  const input = { server_id: serverId, body: bodyOf(creator, protocol, type) }
  const { body, reply } = await call(creator, microversion, input, options)
  const { url } = Object.values(body as Created)[0]!
  return { protocol, type, url, pageUrl: pageUrlOf(url, type, reply), expiresAt: expiryOf(reply) }
}
type Created = Record<string, { readonly url: string }>

function pageUrlOf(url: string, type: OpenableConsoleType, reply: Reply): string {
  const page = consolePage(url, type)
  if (page === undefined) throw new AnswerError('the access URL cannot be opened', circumstances(reply))
  return page
}

function expiryOf({ headers }: Reply): Date | undefined {
  const expiry = new Date(headers.get(EXPIRES_HEADER) ?? '')
  return Number.isNaN(expiry.getTime()) ? undefined : expiry
}

const creators = ['createRemoteConsole', 'getVncConsole', 'getSpiceConsole', 'getSerialConsole'] as const
type Creator = (typeof creators)[number]

const creatorAt = (v: Microversion, type: OpenableConsoleType) =>
  creators.find((name) => alive(routes[name], v) && typesOf(routes[name], v).includes(type))

// Each body is an object with one member: an object with the enumeration `type`.
function typesOf({ body }: Route, v: Microversion): readonly unknown[] {
  const [inner] = Object.values((body as unknown as Nested).properties)
  const { anyOf = [inner!.properties.type!] } = inner!.properties.type!
  return anyOf.filter((literal) => alive(literal, v)).map((literal) => literal.const)
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
