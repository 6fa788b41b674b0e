/**
 * The authenticator `keystone`: Keystone's tokens (Identity API v3). Looks each token up at Keystone, authorised by our
 * service token, and caches the result by the token's SHA-256 digest for `cache_seconds`, but not beyond its expiry. From then
 * on it refuses the token without a look-up, by our clock, as Nova's keystonemiddleware does.
 *
 * Refuses tokens that are restricted by access rules: Keystone only validates these for services that declare that they
 * enforce such rules.
 */
import { deadline, readTextFile, sha256Hex, within } from '@oriel/runtime'
import * as Type from 'typebox'
import * as Value from 'typebox/value'
import type { ApiMetrics, KeystoneOperation, KeystoneResult } from '../metrics.ts'
import { type Authenticator, AuthUnavailable, type Identity, Unauthenticated } from './authenticator.ts'
import { ExpiringMap } from './expiring-map.ts'
import type { KeystoneConfig } from './keystone-config.ts'
import { RoleMissing } from './keystone-role.ts'
import { createSession } from './keystone-session.ts'
import { type JsonRequest, type JsonResponse, jsonClient } from './request-json.ts'

export interface KeystoneDeps {
  /** Milliseconds since the epoch. Default: `Date.now`. */
  readonly now?: () => number
  readonly metrics?: Pick<ApiMetrics, 'keystone'>
}

/**
 * The part of Keystone's description of a token that identifies the caller. Only tokens scoped to a project have `project`.
 */
const Described = Type.Object({
  token: Type.Object({
    expires_at: Type.String(),
    user: Type.Object({ id: Type.String({ minLength: 1 }) }),
    project: Type.Optional(Type.Object({ id: Type.String({ minLength: 1 }) })),
    roles: Type.Optional(Type.Array(Type.Object({ name: Type.String() }))),
  }),
})

/** Printable ASCII, which a header can carry. Keystone's tokens have no other characters. */
const tokenCharacters = /^[\x21-\x7e]+$/
/** How long a refusal is cached, which spares Keystone the retries of a client. */
const refusalSeconds = 10
const maxRemembered = 10_000
const maxLookups = 1000

const RESULTS: Readonly<Record<number, KeystoneResult>> = {
  ...{ 200: 'ok', 201: 'ok', 401: 'refused', 403: 'refused', 404: 'unknown' },
}

/**
 * Creates the authenticator. It signs in at the first request.
 * @throws the system's error when `cafile` cannot be read.
 * @see https://docs.openstack.org/api-ref/identity/v3/#validate-and-show-information-for-token
 */
export function createKeystoneAuthenticator(
  config: KeystoneConfig,
  { now = Date.now, metrics }: KeystoneDeps = {},
): Authenticator {
  const base = baseUrl(config.auth_url)
  const client = jsonClient({ ca: config.cafile === undefined ? undefined : readTextFile(config.cafile) })
  const closing = new AbortController()
  const session = createSession(config, signIn, now)
  const known = new ExpiringMap<Identity>(maxRemembered)
  const refused = new ExpiringMap<true>(maxRemembered)
  const expiries = new ExpiringMap<number>(maxRemembered)
  const lookups = new Map<string, Promise<Identity>>()

  async function ask(path: string, request: JsonRequest): Promise<JsonResponse> {
    try {
      const response = await client.ask(base + path, request)
      if (response.status === 429 || response.status >= 500) throw unavailable(response)
      return response
    } catch (cause) {
      throw unanswered(cause)
    }
  }

  /** Sends a request as {@link ask} does, and records its duration and result. */
  async function timedAsk(operation: KeystoneOperation, path: string, request: JsonRequest): Promise<JsonResponse> {
    const startedAt = performance.now()
    const record = (result: KeystoneResult) =>
      metrics?.keystone(operation, result, (performance.now() - startedAt) / 1000)
    try {
      const response = await ask(path, request)
      record(RESULTS[response.status] ?? 'unavailable')
      return response
    } catch (error) {
      record('unavailable')
      throw error
    }
  }

  const ownDeadline = () => deadline(config.timeout_ms, closing.signal)

  async function signIn(body: unknown): Promise<JsonResponse> {
    using limit = ownDeadline()
    return await timedAsk('sign_in', '/auth/tokens?nocatalog', { method: 'POST', body, signal: limit.signal })
  }

  /** Returns the identity for a token. Concurrent calls for one token share one look-up. */
  function identify(token: string, allowExpired: boolean): Promise<Identity> {
    if (!tokenCharacters.test(token)) throw new Unauthenticated('The token has characters that are not printable ASCII')
    const key = `${sha256Hex(token)}${allowExpired ? ' even if expired' : ''}`
    const remembered = known.get(key, now())
    if (remembered) return Promise.resolve(remembered)
    if (refused.get(key, now())) throw new Unauthenticated('Keystone refused this token a moment ago')
    if ((expiries.get(key, now()) ?? Number.POSITIVE_INFINITY) <= now())
      throw new Unauthenticated('The token has expired since Keystone described it')
    const running = lookups.get(key)
    if (running) return running
    if (lookups.size >= maxLookups) throw new AuthUnavailable(`${maxLookups} look-ups are already in progress`, 1)
    const lookup = lookUp(token, key, allowExpired).finally(() => lookups.delete(key))
    lookups.set(key, lookup)
    return lookup
  }

  async function lookUp(token: string, key: string, allowExpired: boolean): Promise<Identity> {
    const response = await describeToken(token, allowExpired)
    if (response.status === 404) {
      refused.set(key, true, now() + 1000 * Math.min(refusalSeconds, config.cache_seconds), now())
      throw new Unauthenticated('Keystone does not know the token')
    }
    if (response.status !== 200) throw unavailable(response)
    if (!Value.Check(Described, response.body))
      throw new AuthUnavailable('Keystone sent a malformed description of the token')
    const { token: described } = response.body
    const identity = identityOf(described)
    const cacheMs = 1000 * config.cache_seconds
    if (allowExpired) known.set(key, identity, now() + cacheMs, now())
    else {
      const expiresAtMs = Date.parse(described.expires_at) || 0
      known.set(key, identity, Math.min(now() + cacheMs, expiresAtMs), now())
      // If it has expired already, our clock is ahead of Keystone's, which must then decide each time.
      if (expiresAtMs > now()) expiries.set(key, expiresAtMs, expiresAtMs + cacheMs, now())
    }
    return identity
  }

  /** Retries once with a new service token if Keystone refuses ours, which may expire or be revoked at any time. */
  async function describeToken(token: string, allowExpired: boolean): Promise<JsonResponse> {
    using limit = ownDeadline()
    const { signal } = limit
    const path = `/auth/tokens?nocatalog${allowExpired ? '&allow_expired=1' : ''}`
    const describe = async () => {
      const own = await abandonable(session.token(), signal)
      const headers = { 'X-Auth-Token': own, 'X-Subject-Token': token }
      const response = await timedAsk('look_up', path, { headers, signal })
      if (response.status === 401) session.refused(own)
      return response
    }
    const first = await describe()
    return first.status === 401 ? await describe() : first
  }

  return {
    wwwAuthenticate: `Keystone uri="${config.www_authenticate_uri ?? base.replace(/\/v3$/, '')}"`,
    async authenticate({ token, serviceToken, signal }) {
      if (!token) throw new Unauthenticated('No token')
      const service = serviceToken ? await abandonable(identify(serviceToken, false), signal) : undefined
      const allowExpired = service?.roles.some((role) => config.service_token_roles.includes(role)) ?? false
      return abandonable(identify(token, allowExpired), signal)
    },
    async check(signal) {
      using limit = ownDeadline()
      await abandonable(session.token(), signal)
      await abandonable(ask('', { signal: limit.signal }), signal)
    },
    async verify(signal) {
      using limit = ownDeadline()
      const headers = { 'X-Auth-Token': await abandonable(session.token(), signal) }
      // Keystone checks the right to look tokens up first, and only then whether the request names a token. It would let any
      // user look up a token of its own.
      const response = await abandonable(ask('/auth/tokens?nocatalog', { headers, signal: limit.signal }), signal)
      if (response.status === 403) throw new RoleMissing(config)
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new AuthUnavailable('The API is about to stop'))
      client[Symbol.dispose]()
    },
  }
}

/** Policy compares role names in lower case, as oslo.policy does. */
function identityOf({ user, project, roles = [] }: Type.Static<typeof Described>['token']): Identity {
  const who = { userId: user.id, roles: roles.map(({ name }) => name.toLowerCase()) }
  return Object.freeze(project ? { ...who, projectId: project.id } : who)
}

function baseUrl(authUrl: string): string {
  const trimmed = authUrl.replace(/\/+$/, '')
  return trimmed.endsWith('/v3') ? trimmed : `${trimmed}/v3`
}

/** The error for a failed look-up. 403 means that our own user may not look tokens up. */
function unavailable({ status, headers }: JsonResponse): AuthUnavailable {
  const hint = status === 403 ? ': our user needs the role service or admin' : ''
  const seconds = Number(headers['retry-after'])
  const retryAfterSeconds = seconds >= 1 && seconds <= 300 ? Math.ceil(seconds) : undefined
  return new AuthUnavailable(`Keystone answers ${status}${hint}`, retryAfterSeconds)
}

function reason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  return cause.message || ((cause as NodeJS.ErrnoException).code ?? cause.name)
}

/**
 * Waits for `promise`, but throws the signal's reason once it aborts. The look-up continues, since other calls may share
 * it.
 */
async function abandonable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  try {
    return await within(signal, promise)
  } catch (cause) {
    throw cause === signal.reason ? unanswered(cause) : cause
  }
}

function unanswered(cause: unknown): AuthUnavailable {
  if (cause instanceof AuthUnavailable) return cause
  return new AuthUnavailable(`Keystone does not answer: ${reason(cause)}`, undefined, { cause })
}
