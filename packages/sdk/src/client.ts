/** The client: `at` for a microversion that you know, `negotiate` for the highest that both sides know. */
import {
  alive,
  negotiate as askedVersion,
  at,
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
import { AnswerError, circumstances, type Reply } from './errors.ts'
import { DEFAULT_TIMEOUT_MS, jsonOf, type TransportOptions, transport } from './exchange.ts'
import { extensionUrl, type OrielOperations, orielOperations } from './oriel.ts'
import { prepare } from './prepare.ts'
import { type ServedVersions, servedVersions } from './served-versions.ts'
import { misfit } from './shape.ts'
import { endpointSource, type SendSigned, signing } from './signed.ts'

export interface ClientOptions extends TransportOptions {
  /** The compute endpoint, such as `https://cloud.example:8774/v2.1`. Default: what the catalogue of `auth` says. */
  readonly endpoint?: string | undefined
  /** Who is calling. Default: `noAuth()`. */
  readonly auth?: Auth | undefined
}

/** Bounds of a negotiation. */
export interface NegotiateOptions<Min extends Microversion = Microversion> extends CallOptions {
  /** The lowest that will do. Default: the first. */
  readonly min?: Min | undefined
  /** The highest that is wanted. Default: the latest that this package knows. */
  readonly max?: Microversion | undefined
}

export interface Client {
  /**
   * The operations of one microversion. Nothing is sent yet.
   * @throws RangeError if this package does not know the microversion
   */
  at<const V extends Microversion>(microversion: V): ClientAt<V>
  /**
   * The operations of the highest microversion that both sides know. Asks for the version document once and keeps it.
   * @throws VersionError if there is none within the bounds
   */
  negotiate(options?: NegotiateOptions): Promise<ClientAt<Microversion>>
  /**
   * A console of a server, by whichever route the negotiated microversion has. Its `url` carries a short-lived token:
   * give it to the person it is for, and keep it out of logs.
   * @throws VersionError if no microversion that both sides know offers `type`; Conflict while the server has none to give
   */
  createConsole<const T extends OpenableConsoleType>(
    serverId: string,
    type: T,
    options?: CallOptions,
  ): Promise<Console<T>>
  /** What Oriel's API offers beyond Nova's: sessions. Another API answers `NotFound`. */
  readonly oriel: OrielOperations
}

/**
 * A client of one compute API. It holds no connection, so there is nothing to close.
 * @throws SettingsError if `endpoint` is no http or https address, or is missing and `auth` has no catalogue
 * @example const { remote_console } = await createClient({ endpoint, auth: staticToken(token) }).at('2.99')
 *   .createRemoteConsole({ server_id, body: { remote_console: { protocol: 'vnc', type: 'novnc' } } })
 */
export function createClient(options: ClientOptions): Client {
  const { auth = noAuth(), timeoutMs = DEFAULT_TIMEOUT_MS } = options
  const via = transport(options)
  const endpointOf = endpointSource(options.endpoint, auth)
  const send = signing(via, auth, endpointOf, timeoutMs)
  const versions = servedVersions(via, endpointOf, timeoutMs)
  const call = novaCalls(send, versions)
  const client: Client = {
    at: (microversion) => {
      if (!isMicroversion(microversion)) throw new RangeError(`Microversion ${String(microversion)} is not known`)
      return operationsAt(microversion, call) as ClientAt<typeof microversion>
    },
    negotiate: async ({ min = EARLIEST, max = LATEST, signal } = {}) =>
      client.at(await versions.highest(min, max, signal)),
    createConsole: (serverId, type, callOptions) => createConsole(client, serverId, type, callOptions),
    oriel: orielOperations(orielCalls(send)),
  }
  return client
}

type Call = (name: RouteName, v: Microversion, input: AnyInput, options: CallOptions) => Promise<unknown>
/** Accepted, and done without more to say. */
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
  (send: SendSigned, versions: ServedVersions): Call =>
  async (operation, microversion, input, { signal }) => {
    const route: Route = routes[operation]
    const secrets = secretsIn(input.console_token)
    const unsigned = { operation, ...prepare(route, input), headers: versionHeaders(microversion), secrets }
    const reply = await send(unsigned, signal)
    if (reply.status === 406) versions.forget()
    const answer = jsonOf(reply)
    checkVersion(reply, microversion)
    checkShape(reply, at(route.response, microversion), answer)
    return answer
  }

const orielCalls =
  (send: SendSigned) =>
  async (operation: ExtensionRouteName, route: ExtensionRoute, input: AnyInput, { signal }: CallOptions) => {
    const secrets = secretsIn((input.body as { readonly token?: unknown } | undefined)?.token)
    const unsigned = { operation, ...prepare(route, input), headers: {}, secrets, base: extensionUrl }
    const reply = await send(unsigned, signal)
    const answer = NO_BODY.has(reply.status) ? null : jsonOf(reply)
    checkShape(reply, route.response, answer)
    return answer
  }

const secretsIn = (token: unknown): string[] => (typeof token === 'string' ? [token] : [])

// A page on another origin sees these headers only if the API exposes them; without them the shape has to do.
function checkVersion(reply: Reply, microversion: Microversion): void {
  const standard = reply.headers.get(STANDARD_HEADER) ?? undefined
  const legacy = reply.headers.get(LEGACY_HEADER) ?? undefined
  if (standard === undefined && legacy === undefined) return
  const answered = askedVersion({ standard, legacy })
  if ('microversion' in answered && answered.microversion === microversion) return
  throw new AnswerError(`asked at ${microversion} and answered at another microversion`, circumstances(reply))
}

function checkShape(reply: Reply, schema: Parameters<typeof misfit>[0], answer: unknown): void {
  const missing = misfit(schema, answer)
  if (missing !== undefined) throw new AnswerError(`the answer lacks ${missing}`, { ...circumstances(reply), missing })
}
