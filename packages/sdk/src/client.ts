/** The client: `at` for a microversion that you know, `negotiate` for the highest that both sides know. */
import {
  API_VERSION,
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
  microversions,
  minor,
  type OpenableConsoleType,
  type ResponseAt,
  type Route,
  type RouteName,
  routes,
  STANDARD_HEADER,
  versionHeaders,
} from '@oriel/contract'
import { httpAddress } from './address.ts'
import { type Auth, noAuth } from './auth.ts'
import type { AnyInput, CallOptions, ClientAt, QueryParameters } from './client-at.ts'
import { type Console, createConsole } from './console.ts'
import { type Deadline, withDeadline, within } from './deadline.ts'
import { AnswerError, circumstances, type Reply, SettingsError, VersionError } from './errors.ts'
import { DEFAULT_TIMEOUT_MS, exchange, jsonOf, type Request, type TransportOptions, transport } from './exchange.ts'
import { extensionUrl, type OrielOperations, orielOperations } from './oriel.ts'
import { misfit } from './shape.ts'

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
  let versions: Promise<Range> | undefined

  const client: Client = {
    at: (microversion) => {
      if (!isMicroversion(microversion)) throw new RangeError(`Microversion ${String(microversion)} is not known`)
      return operationsAt(microversion, call) as ClientAt<typeof microversion>
    },
    negotiate: async ({ min = EARLIEST, max = LATEST, signal } = {}) => {
      const ask = (limit: Deadline) => within(limit, 'The compute API', servedVersions())
      return client.at(highest(await withDeadline(timeoutMs, signal, ask), min, max))
    },
    createConsole: (serverId, type, callOptions) => createConsole(client, serverId, type, callOptions),
    oriel: orielOperations(callOriel),
  }
  return client

  async function call(name: RouteName, microversion: Microversion, input: AnyInput, { signal }: CallOptions) {
    const route: Route = routes[name]
    const secrets = typeof input.console_token === 'string' ? [input.console_token] : []
    const unsigned = { ...prepare(name, route, input), headers: versionHeaders(microversion), secrets }
    const reply = await sendSigned(unsigned, signal)
    if (reply.status === 406) versions = undefined // the other side was upgraded or replaced
    const answer = jsonOf(reply)
    checkVersion(reply, microversion)
    checkShape(reply, at(route.response, microversion), answer)
    return answer
  }

  async function callOriel(
    name: ExtensionRouteName,
    route: ExtensionRoute,
    input: AnyInput,
    { signal }: CallOptions,
  ): Promise<unknown> {
    const { token } = (input.body ?? {}) as { readonly token?: unknown }
    const secrets = typeof token === 'string' ? [token] : []
    const unsigned = { ...prepare(name, route, input), headers: {}, secrets, base: extensionUrl }
    const reply = await sendSigned(unsigned, signal)
    const answer = NO_BODY.has(reply.status) ? null : jsonOf(reply)
    checkShape(reply, route.response, answer)
    return answer
  }

  function sendSigned(unsigned: Unsigned, signal: AbortSignal | undefined): Promise<Reply> {
    return withDeadline(timeoutMs, signal, async (limit) => {
      const headers = await within(limit, 'The identity service', auth.headers(limit.signal))
      const reply = await send(unsigned, headers, limit)
      if (reply.status !== 401 || auth.rejected === undefined) return reply
      auth.rejected(headers)
      return send(unsigned, await within(limit, 'The identity service', auth.headers(limit.signal)), limit)
    })
  }

  async function send(
    { path, base, ...rest }: Unsigned,
    headers: Record<string, string>,
    limit: Deadline,
  ): Promise<Reply> {
    const given = await within(limit, 'The identity service', endpointOf(limit.signal))
    const endpoint = base?.(given) ?? given
    const secrets = [...rest.secrets, ...Object.values(headers)]
    return exchange(via, { ...rest, url: endpoint + path, headers: { ...rest.headers, ...headers }, secrets }, limit)
  }

  // Shared by whoever asks at the same moment, so it follows no single caller's signal, only the deadline.
  function servedVersions(): Promise<Range> {
    versions ??= withDeadline(timeoutMs, undefined, fetchVersions).catch((error) => {
      versions = undefined
      throw error
    })
    return versions
  }

  // Without token and version headers: the document is open to all, and is about to tell which versions there are.
  async function fetchVersions(limit: Deadline): Promise<Range> {
    const url = discoveryUrl(await within(limit, 'The identity service', endpointOf(limit.signal)))
    const reply = await exchange(via, { operation: 'showVersion', method: 'GET', url, headers: {}, secrets: [] }, limit)
    return rangeOf(reply)
  }
}

type Call = (name: RouteName, v: Microversion, input: AnyInput, options: CallOptions) => Promise<unknown>
type Unsigned = Omit<Request, 'url'> & {
  readonly path: string
  /** From the endpoint to what `path` is below. Default: the endpoint itself. */
  readonly base?: (endpoint: string) => string
}
/** Accepted, and done without more to say. */
const NO_BODY: ReadonlySet<number> = new Set([202, 204])
/** The microversions that the other side serves. */
interface Range {
  readonly min: string
  readonly max: string
}

function operationsAt(microversion: Microversion, call: Call): object {
  const living = Object.entries<Route>(routes).filter(([, route]) => alive(route, microversion))
  const operations = living.map(([name]) => [
    name,
    (input: AnyInput = {}, options: CallOptions = {}) => call(name as RouteName, microversion, input, options),
  ])
  return { microversion, ...Object.fromEntries(operations) }
}

function endpointSource(endpoint: string | undefined, auth: Auth): (signal: AbortSignal) => Promise<string> {
  if (endpoint !== undefined) {
    const given = httpAddress('The endpoint', endpoint)
    return async () => given
  }
  if (auth.endpoint === undefined) throw new SettingsError('Give an endpoint, or an auth that has a catalogue')
  return async (signal) => httpAddress('The endpoint', await auth.endpoint!(signal))
}

// Older catalogues end in the project's id, below which there is no version document.
function discoveryUrl(endpoint: string): string {
  const { origin, pathname } = new URL(endpoint)
  const segments = pathname.split('/')
  const api = segments.lastIndexOf(API_VERSION)
  return `${origin}${(api < 0 ? segments : segments.slice(0, api + 1)).join('/').replace(/\/$/, '')}/`
}

function rangeOf(reply: Reply): Range {
  const answer = jsonOf(reply)
  const missing = misfit(at(routes.showVersion.response, EARLIEST), answer)
  if (missing !== undefined) {
    throw new AnswerError(`no version document; does the endpoint end in /${API_VERSION}?`, circumstances(reply))
  }
  const { version } = answer as ResponseAt<'showVersion', typeof EARLIEST>
  return { min: version.min_version, max: version.version }
}

function highest(served: Range, min: Microversion, max: Microversion): Microversion {
  const within = (v: string) => minor(v) >= minor(min) && minor(v) <= minor(max)
  const common = microversions.findLast(
    (v) => within(v) && minor(v) >= minor(served.min) && minor(v) <= minor(served.max),
  )
  if (common === undefined) {
    const range = served.max === '' ? 'no microversions' : `${served.min} to ${served.max}`
    throw new VersionError(`The API serves ${range}, and ${min} to ${max} is wanted`)
  }
  return common
}

function prepare(operation: string, { method, path, body }: Route | ExtensionRoute, input: AnyInput) {
  return {
    operation,
    method,
    path: filled(path, input) + queryString(input.query),
    ...(body && { body: input.body }),
  }
}

const filled = (path: string, input: AnyInput) =>
  path.replace(/\{(\w+)\}/g, (_, name: string) => pathSegment(name, input[name]))

// `.` and `..` would lead to another route, and nothing to the list above it.
function pathSegment(name: string, value: unknown): string {
  if (typeof value !== 'string' || /^\.{0,2}$/.test(value)) throw new TypeError(`${name} must be an id`)
  return encodeURIComponent(value)
}

function queryString(query: QueryParameters = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined)
  const text = new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)])).toString()
  return text && `?${text}`
}

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
  if (missing !== undefined) throw new AnswerError(`the answer lacks ${missing}`, circumstances(reply))
}
