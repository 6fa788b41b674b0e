/**
 * Signs in at Keystone, OpenStack's identity service (Identity API v3, `POST /v3/auth/tokens`), and reads the catalogue in the
 * response. One sign-in serves all calls until shortly before its token expires.
 */
import { httpAddress } from './address.ts'
import { type Auth, TOKEN_HEADER } from './auth.ts'
import { type Deadline, withDeadline, within } from './deadline.ts'
import { AnswerError, circumstances, type Reply, SettingsError } from './errors.ts'
import { DEFAULT_TIMEOUT_MS, exchange, jsonOf, type TransportOptions, transport } from './exchange.ts'
import { misfit } from './shape.ts'

/** The three endpoints that a catalogue has for each service. */
export type Interface = 'public' | 'internal' | 'admin'

export interface KeystoneOptions extends TransportOptions {
  /** Keystone's address, with or without `/v3`. */
  readonly authUrl: string
  /** The region of the compute endpoint. Default: the first in the catalogue. */
  readonly region?: string | undefined
  /** Default: `public`. */
  readonly interface?: Interface | undefined
}

/**
 * The token's scope: a project by id, or by name and domain (default: `default`), or the whole system, or a trust, which has
 * its own project.
 */
export interface Scope {
  readonly projectId?: string | undefined
  readonly projectName?: string | undefined
  readonly projectDomainId?: string | undefined
  readonly projectDomainName?: string | undefined
  readonly systemScope?: 'all' | undefined
  /** A trust (Keystone's OS-TRUST extension), by which another user delegates roles in a project to this one. */
  readonly trustId?: string | undefined
}

/** A user by id, or by name and domain (default: `default`). */
export interface User {
  readonly userId?: string | undefined
  readonly username?: string | undefined
  readonly userDomainId?: string | undefined
  readonly userDomainName?: string | undefined
}

export type KeystonePasswordOptions = KeystoneOptions & Scope & User & { readonly password: string }
export type KeystoneTokenOptions = KeystoneOptions & Scope & { readonly token: string }
/** The credential by `id`, or by `name` and its user. The credential determines the scope. */
export type ApplicationCredentialOptions = KeystoneOptions &
  User & { readonly id?: string | undefined; readonly name?: string | undefined; readonly secret: string }

/**
 * Signs in with a user's password.
 * @throws SettingsError if the options contain no user. Calls throw Unauthorized if Keystone refuses the password.
 */
export function keystonePassword(options: KeystonePasswordOptions): Auth {
  const { password } = options
  const identity = { methods: ['password'], password: { user: { ...userOf(options), password } } }
  return keystone(options, { identity, ...scopeOf(options) }, password)
}

/** Exchanges a Keystone token for one of the given scope, with its catalogue. The new token expires with the old one. */
export function keystoneToken(options: KeystoneTokenOptions): Auth {
  const { token } = options
  return keystone(options, { identity: { methods: ['token'], token: { id: token } }, ...scopeOf(options) }, token)
}

/** Signs in with an application credential. Recommended for programs: it can be restricted and revoked separately. */
export function applicationCredential(options: ApplicationCredentialOptions): Auth {
  const { id, name, secret } = options
  if (!id && !name) throw new SettingsError('An application credential needs its id, or its name and user')
  const credential = id ? { id, secret } : { name, secret, user: userOf(options) }
  const identity = { methods: ['application_credential'], application_credential: credential }
  return keystone(options, { identity }, secret)
}

const RENEW_BEFORE_MS = 60_000
const OPERATION = 'signIn'

interface Session {
  readonly token: string
  readonly renewAtMs: number
  readonly catalog: readonly unknown[] | undefined
}
interface Endpoint {
  readonly interface?: string
  readonly region?: string | null
  readonly region_id?: string | null
  readonly url?: string
}

function keystone(options: KeystoneOptions, auth: object, secret: string): Auth {
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options
  const via = transport(options)
  const url = `${identityAddress(options.authUrl)}/auth/tokens`
  const { origin } = new URL(url)
  let session: Session | undefined
  let signingIn: Promise<Session> | undefined

  const current = async (signal?: AbortSignal): Promise<Session> => {
    if (session !== undefined && Date.now() < session.renewAtMs) return session
    signingIn ??= withDeadline(timeoutMs, undefined, signIn).finally(() => {
      signingIn = undefined
    })
    const shared = signingIn
    return withDeadline(timeoutMs, signal, (limit) => within(limit, origin, shared))
  }

  return {
    headers: async (signal) => ({ [TOKEN_HEADER]: (await current(signal)).token }),
    endpoint: async (signal) => computeEndpoint((await current(signal)).catalog, options),
    // Drops only the refused token: a concurrent call may already have signed in again.
    rejected: (headers) => {
      if (session?.token === headers[TOKEN_HEADER]) session = undefined
    },
  }

  // Concurrent calls share this sign-in, so it obeys only its own deadline, not the signal of one caller.
  async function signIn(limit: Deadline): Promise<Session> {
    const request = { operation: OPERATION, method: 'POST', url, headers: {}, body: { auth }, secrets: [secret] }
    session = sessionOf(await exchange(via, request, limit))
    return session
  }
}

function identityAddress(authUrl: string): string {
  const address = httpAddress('The address of Keystone', authUrl).replace(/\/v2\.0$/, '')
  return address.endsWith('/v3') ? address : `${address}/v3`
}

const responseSchema = {
  type: 'object',
  required: ['token'],
  properties: {
    token: {
      type: 'object',
      required: ['expires_at'],
      properties: { expires_at: { type: 'string' }, issued_at: { type: 'string' }, catalog: { type: 'array' } },
    },
  },
}

function sessionOf(reply: Reply): Session {
  const body = jsonOf(reply)
  const token = reply.headers.get('x-subject-token')
  const missing = misfit(responseSchema, body) ?? (token ? undefined : 'X-Subject-Token')
  if (missing !== undefined) throw new AnswerError(`the answer lacks ${missing}`, circumstances(reply))
  const { token: issued } = body as { token: { expires_at: string; issued_at?: string; catalog?: unknown[] } }
  return { token: token!, renewAtMs: renewAtMs(issued.expires_at, issued.issued_at), catalog: issued.catalog }
}

// Computed from the token's lifetime and not from its dates, since Keystone's clock may differ from ours.
function renewAtMs(expiresAt: string, issuedAt: string | undefined): number {
  const nowMs = Date.now()
  const lifeMs = Date.parse(expiresAt) - (issuedAt === undefined ? nowMs : Date.parse(issuedAt))
  return nowMs + (Number.isNaN(lifeMs) ? 0 : lifeMs - Math.min(RENEW_BEFORE_MS, lifeMs / 2))
}

function computeEndpoint(
  catalog: readonly unknown[] | undefined,
  { region, interface: interfaceName }: KeystoneOptions,
): string {
  if (catalog === undefined) throw new SettingsError('The token has no catalogue: give a project or an endpoint')
  const endpoints = catalog.filter(isComputeService).flatMap((service) => service.endpoints.filter(isEndpoint))
  const ofInterface = endpoints.filter((endpoint) => endpoint.interface === (interfaceName ?? 'public'))
  const chosen = ofInterface.find((endpoint) => region === undefined || regionOf(endpoint) === region)
  if (!chosen?.url) throw noEndpoint(endpoints, region, interfaceName)
  return httpAddress('The compute endpoint of the catalogue', chosen.url)
}

function noEndpoint(endpoints: readonly Endpoint[], region = '(any)', interfaceName = 'public'): SettingsError {
  const known = endpoints.map((endpoint) => `${regionOf(endpoint)} ${endpoint.interface}`)
  return new SettingsError(
    `The catalogue has no compute endpoint of region ${region} and interface ${interfaceName}; it has: ${known.join(', ') || 'none'}`,
  )
}

// `misfit` does not check the items of lists.
const isComputeService = (service: unknown): service is { readonly endpoints: readonly unknown[] } =>
  isRecord(service) && service.type === 'compute' && Array.isArray(service.endpoints)

const isEndpoint = (endpoint: unknown): endpoint is Endpoint =>
  isRecord(endpoint) &&
  [endpoint.interface, endpoint.region, endpoint.region_id, endpoint.url].every(
    (member) => member === undefined || member === null || typeof member === 'string',
  )

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

const regionOf = ({ region_id, region }: Endpoint) => region_id ?? region

function userOf({ userId, username, userDomainId, userDomainName }: User): object {
  if (userId) return { id: userId }
  if (!username) throw new SettingsError('Signing in needs a user name or id')
  return { name: username, domain: domainOf(userDomainId, userDomainName) }
}

/** @see https://docs.openstack.org/api-ref/identity/v3-ext/index.html#consuming-a-trust */
function scopeOf({ projectId, projectName, projectDomainId, projectDomainName, systemScope, trustId }: Scope): object {
  if (trustId) {
    if (!projectId && !projectName && !systemScope) return { scope: { 'OS-TRUST:trust': { id: trustId } } }
    throw new SettingsError('A trust has its own project: remove project and system scope')
  }
  if (systemScope) return { scope: { system: { all: true } } }
  if (projectId) return { scope: { project: { id: projectId } } }
  if (!projectName) return {}
  return { scope: { project: { name: projectName, domain: domainOf(projectDomainId, projectDomainName) } } }
}

const domainOf = (id: string | undefined, name: string | undefined) =>
  !id && name ? { name } : { id: id || 'default' }
