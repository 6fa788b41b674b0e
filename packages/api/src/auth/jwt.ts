/**
 * The authenticator `jwt`: JSON Web Tokens of an OpenID provider, or another issuer that publishes its keys as a JWK set.
 */
import { type Logger, readTextFile, silentLogger } from '@oriel/runtime'
import { createRemoteJWKSet, customFetch, errors, type JWTPayload, jwtVerify } from 'jose'
import {
  type AuthenticationRequest,
  type Authenticator,
  AuthUnavailable,
  type Identity,
  Unauthenticated,
} from './authenticator.ts'
import { type JwtConfig, keyUrlPattern } from './jwt-config.ts'
import { refusalReporter } from './jwt-refusals.ts'
import { jsonClient } from './request-json.ts'

export interface JwtDeps {
  /** Milliseconds since the epoch, for exp, nbf and iat. Default: `Date.now`. */
  readonly now?: () => number
  /** Logs tokens that disagree with the configuration. Default: a silent logger. */
  readonly log?: Logger
}

/**
 * Creates the authenticator. It fetches the keys when it sees the first token.
 *
 * A token comes as `Authorization: Bearer`, or as `X-Auth-Token`, the only header that OpenStack's clients send.
 * @throws the system's error when `cafile` cannot be read.
 * @see https://www.rfc-editor.org/rfc/rfc7519 and https://www.rfc-editor.org/rfc/rfc8725
 */
export function createJwtAuthenticator(
  config: JwtConfig,
  { now = Date.now, log = silentLogger() }: JwtDeps = {},
): Authenticator {
  const report = refusalReporter(config, log, now)
  const fetcher = keyFetcher(config)
  const keys = createRemoteJWKSet(fetcher.url, {
    [customFetch]: fetcher.fetch,
    timeoutDuration: config.timeout_ms,
    cooldownDuration: 1000 * config.keys_cooldown_seconds,
    cacheMaxAge: 1000 * config.keys_cache_seconds,
  })

  async function identify(token: string): Promise<Identity> {
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer: config.issuer,
        audience: config.audience,
        algorithms: [...config.algorithms],
        clockTolerance: config.clock_skew_seconds,
        requiredClaims: ['exp'],
        currentDate: new Date(now()),
      })
      return identityOf(payload, config)
    } catch (cause) {
      report(cause)
      throw failure(cause)
    }
  }

  return {
    wwwAuthenticate: 'Bearer realm="oriel"',
    async authenticate(request) {
      const token = tokenOf(request)
      if (request.serviceToken) await identify(request.serviceToken)
      return identify(token)
    },
    async check() {
      if (keys.fresh) return
      await keys.reload().catch((cause: unknown) => {
        throw failure(cause)
      })
    },
    async [Symbol.asyncDispose]() {
      fetcher[Symbol.dispose]()
    },
  }
}

/** Refuses a request with two different tokens, since either may be the one that the client means. */
function tokenOf({ token, headers }: AuthenticationRequest): string {
  const authorization = headers.get('authorization')
  if (authorization === null) {
    if (!token) throw new Unauthenticated('No token')
    return token
  }
  const bearer = /^bearer +([^\s,]+)$/i.exec(authorization)?.[1]
  if (bearer === undefined) throw new Unauthenticated('The header Authorization is not of the form Bearer TOKEN')
  if (token && token !== bearer) throw new Unauthenticated('Authorization and X-Auth-Token hold different tokens')
  return bearer
}

// Claims

function identityOf(payload: JWTPayload, config: JwtConfig): Identity {
  const userId = nameOf(payload, config.user_claim)
  if (userId === undefined) throw new Unauthenticated(`The token lacks the claim ${config.user_claim}`)
  const projectId = nameOf(payload, config.project_claim)
  const who = { userId, roles: rolesOf(payload, config.roles_claim) }
  return Object.freeze(projectId === undefined ? who : { ...who, projectId })
}

function nameOf(payload: JWTPayload, path: string): string | undefined {
  const value = claimAt(payload, path)
  if (value === undefined) return undefined
  if (typeof value !== 'string' || value === '') throw new Unauthenticated(`The claim ${path} is not text`)
  return value
}

/** Policy compares role names in lower case. */
function rolesOf(payload: JWTPayload, path: string): readonly string[] {
  const value = claimAt(payload, path)
  const names: unknown = typeof value === 'string' ? value.split(' ').filter(Boolean) : value
  if (!Array.isArray(names)) throw new Unauthenticated(`The claim ${path} is missing or is not a list`)
  if (!names.every((name) => typeof name === 'string'))
    throw new Unauthenticated(`The claim ${path} contains a value that is not text`)
  return names.map((name: string) => name.toLowerCase())
}

/**
 * Prefers a claim with exactly this name, such as `https://id.example/roles`, to a path of names with dots between them.
 */
function claimAt(payload: JWTPayload, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path]
  return path.split('.').reduce<unknown>((value, name) => {
    const inside = typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    return inside ? (value as Record<string, unknown>)[name] : undefined
  }, payload)
}

// Keys

interface KeyFetcher extends Disposable {
  readonly url: URL
  fetch(url: string, options: { readonly signal: AbortSignal }): Promise<Response>
}

/** Runs discovery before each fetch of the keys, since the issuer may move them. */
function keyFetcher(config: JwtConfig): KeyFetcher {
  const client = jsonClient({ ca: config.cafile === undefined ? undefined : readTextFile(config.cafile) })
  const discovery = `${config.issuer.replace(/\/+$/, '')}/.well-known/openid-configuration`
  const read = async (url: string, signal: AbortSignal) => {
    const { status, body } = await client.ask(url, { signal })
    if (status !== 200) throw new Error(`${url} answers ${status}`)
    return body as Record<string, unknown> | undefined
  }
  return {
    url: new URL(config.jwks_url ?? discovery),
    async fetch(url, { signal }) {
      try {
        const document = await read(url, signal)
        return Response.json(config.jwks_url ? document : await read(keysUrl(document, config.issuer), signal))
      } catch (cause) {
        throw unavailable(cause)
      }
    },
    [Symbol.dispose]: () => client[Symbol.dispose](),
  }
}

/** @see https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationValidation */
function keysUrl(document: Record<string, unknown> | undefined, issuer: string): string {
  if (document?.issuer !== issuer) throw new Error('The OpenID configuration is that of another issuer')
  const { jwks_uri: url } = document
  if (typeof url !== 'string' || !new RegExp(keyUrlPattern).test(url))
    throw new Error('The OpenID configuration has no https URL in jwks_uri')
  return url
}

// Failures

/** Keys that cannot be fetched or used are not the client's fault: 503, not 401. */
function failure(cause: unknown): Unauthenticated | AuthUnavailable {
  if (cause instanceof Unauthenticated || cause instanceof AuthUnavailable) return cause
  if (cause instanceof errors.JWKSInvalid || cause instanceof errors.JWKSTimeout) return unavailable(cause)
  return new Unauthenticated(`The token is not valid: ${reasonOf(cause)}`, { cause })
}

function unavailable(cause: unknown): AuthUnavailable {
  return new AuthUnavailable(`The keys of the issuer cannot be fetched: ${reasonOf(cause)}`, undefined, { cause })
}

const reasonOf = (cause: unknown) => (cause instanceof Error ? cause.message : String(cause))
