/** The client: `at` for a given microversion, `negotiate` for the highest that client and API support. */
import {
  alive,
  negotiate as askedVersion,
  EARLIEST,
  type ExtensionRoute,
  type ExtensionRouteName,
  isMicroversion,
  LATEST,
  LEGACY_HEADER,
  type Microversion,
  type OpenableConsoleType,
  type Route,
  type RouteName,
  routes,
  STANDARD_HEADER,
  versionHeaders,
} from '@oriel/contract'
import { type Auth, noAuth } from './auth.ts'
import type { AnyInput, CallOptions, ClientAt } from './client-at.ts'
import { type Console, createConsole } from './console.ts'
import { AnswerError, circumstances, faultOf, type Reply, SettingsError } from './errors.ts'
import { blobOf, DEFAULT_TIMEOUT_MS, jsonOf, type TransportOptions, transport } from './exchange.ts'
import { extensionUrl, type OrielOperations, orielOperations } from './oriel.ts'
import { prepare } from './prepare.ts'
import { type ServedVersions, servedVersions } from './served-versions.ts'
import { misfit } from './shape.ts'
import { endpointSource, type SendSigned, signing } from './signed.ts'

export interface ClientOptions extends TransportOptions {
  /** The compute endpoint, such as `https://cloud.example:8774/v2.1`. Default: the endpoint in the catalogue of `auth`. */
  readonly endpoint?: string | undefined
  /** Authenticates the requests. Default: `noAuth()`. */
  readonly auth?: Auth | undefined
}

/** Bounds of a negotiation. */
export interface NegotiateOptions<Min extends Microversion = Microversion> extends CallOptions {
  /** The lowest acceptable microversion. Default: the first. */
  readonly min?: Min | undefined
  /** The highest wanted microversion. Default: the latest that this package supports. */
  readonly max?: Microversion | undefined
}

export interface Client {
  /**
   * Returns the operations of one microversion, without sending a request.
   * @throws RangeError if this package does not support the microversion
   */
  at<const V extends Microversion>(microversion: V): ClientAt<V>
  /**
   * Returns the operations of the highest microversion that client and API support. Fetches the version document once.
   * @throws VersionError if they have no microversion within the bounds in common
   */
  negotiate(options?: NegotiateOptions): Promise<ClientAt<Microversion>>
  /**
   * Creates a console of a server, with the route of the negotiated microversion. Its URLs contain a short-lived token: give
   * them only to their user, and keep them out of logs.
   * @throws VersionError if no microversion that client and API support has `type`, Conflict while the server has no console,
   *   AnswerError for an access URL that nothing can open
   */
  createConsole<const T extends OpenableConsoleType>(
    serverId: string,
    type: T,
    options?: CallOptions,
  ): Promise<Console<T>>
  /** The operations of Oriel's extension: sessions. They throw `NotFound` for any other API. */
  readonly oriel: OrielOperations
}

/**
 * Creates a client of one compute API. It keeps no connection, so it need not be closed.
 * @throws SettingsError if `endpoint` is not an http or https address, or is missing and `auth` has no catalogue; on Node
 *   below 22
 * @example const { remote_console } = await createClient({ endpoint, auth: staticToken(token) }).at('2.99')
 *   .createRemoteConsole({ server_id, body: { remote_console: { protocol: 'vnc', type: 'novnc' } } })
 */
export function createClient(options: ClientOptions): Client {
  requirePlatform()
  const { auth = noAuth(), timeoutMs = DEFAULT_TIMEOUT_MS } = options
  const via = transport(options)
  const endpointOf = endpointSource(options.endpoint, auth)
  const send = signing(via, auth, endpointOf, timeoutMs)
  const versions = servedVersions(via, endpointOf, timeoutMs)
  const callRoute = novaCalls(send, versions)
  const call: Call = async (...parameters) => (await callRoute(...parameters)).body
  const clients = new Map<Microversion, object>()
  const client: Client = {
    at: (microversion) => {
      if (!isMicroversion(microversion)) throw new RangeError(`Microversion ${String(microversion)} is not known`)
      const operations = clients.get(microversion) ?? operationsAt(microversion, call)
      clients.set(microversion, operations)
      return operations as ClientAt<typeof microversion>
    },
    negotiate: async ({ min = EARLIEST, max = LATEST, signal } = {}) =>
      client.at(await versions.highest(min, max, signal)),
    createConsole: (serverId, type, callOptions) => createConsole(client, callRoute, serverId, type, callOptions),
    oriel: orielOperations(orielCalls(send)),
  }
  return client
}

/** @throws SettingsError where the first call would fail with a TypeError that names a function of this package */
function requirePlatform(): void {
  if (typeof Promise.withResolvers === 'function') return
  const { process } = globalThis as { readonly process?: { readonly version?: string } }
  throw new SettingsError(
    `@oriel/sdk needs Node 22, Deno 1.38, Bun or a browser of 2024, or a newer one; this is ${process?.version ?? 'older'}`,
  )
}

type Call = (name: RouteName, v: Microversion, input: AnyInput, options: CallOptions) => Promise<unknown>
/** Nova's status for a path outside its versions, such as those of Oriel's extension: the body lists the versions. */
const MULTIPLE_CHOICES = 300
/** The statuses of responses without a body. */
const NO_BODY: ReadonlySet<number> = new Set([202, 204])

function operationsAt(microversion: Microversion, call: Call): object {
  const living = Object.entries<Route>(routes).filter(([, route]) => alive(route, microversion))
  const operations = living.map(([name]) => [
    name,
    (input: AnyInput = {}, options: CallOptions = {}) => call(name as RouteName, microversion, input, options),
  ])
  return { microversion, ...Object.fromEntries(operations) }
}

const novaCalls =
  (send: SendSigned, versions: ServedVersions) =>
  async (operation: RouteName, microversion: Microversion, input: AnyInput, { signal }: CallOptions) => {
    const route: Route = routes[operation]
    const secrets = secretsIn(input.console_token)
    const unsigned = { operation, ...prepare(route, input), headers: versionHeaders(microversion), secrets }
    const reply = await send(unsigned, signal)
    if (reply.status === 406) versions.forget()
    const body = jsonOf(reply)
    checkVersion(reply, microversion)
    checkShape(reply, route.response, body, microversion)
    return { body, reply }
  }

const orielCalls =
  (send: SendSigned) =>
  async (operation: ExtensionRouteName, route: ExtensionRoute, input: AnyInput, { signal }: CallOptions) => {
    const secrets = secretsIn((input.body as { readonly token?: unknown } | undefined)?.token)
    const unsigned = { operation, ...prepare(route, input), headers: route.headers ?? {}, secrets, base: extensionUrl }
    const reply = await send(unsigned, signal)
    if (reply.status === MULTIPLE_CHOICES) throw faultOf({ ...reply, status: 404, text: '' })
    if (route.media && reply.status === 200) return blobOf(reply)
    const body = NO_BODY.has(reply.status) ? null : jsonOf(reply)
    checkShape(reply, route.response, body)
    return body
  }

const secretsIn = (token: unknown): string[] => (typeof token === 'string' ? [token] : [])

// A page on another origin sees these headers only if the API exposes them. Without them, only the shape is checked.
function checkVersion(reply: Reply, microversion: Microversion): void {
  const standard = reply.headers.get(STANDARD_HEADER) ?? undefined
  const legacy = reply.headers.get(LEGACY_HEADER) ?? undefined
  if (standard === undefined && legacy === undefined) return
  const answered = askedVersion({ standard, legacy })
  if ('microversion' in answered && answered.microversion === microversion) return
  throw new AnswerError(`requested microversion ${microversion}, but the response has another`, circumstances(reply))
}

function checkShape(reply: Reply, schema: object, body: unknown, microversion?: Microversion): void {
  const missing = misfit(schema, body, microversion)
  if (missing !== undefined) throw new AnswerError(`the answer lacks ${missing}`, { ...circumstances(reply), missing })
}
