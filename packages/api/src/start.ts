/** The API as a running service: adapters from the configuration, a listener, and a graceful shutdown. */
import {
  type AdminListener,
  createAdminListener,
  type Logger,
  listenerTls,
  reloadableTlsKeys,
  reloadCertificate,
  type Secret,
} from '@oriel/runtime'
import { type ApiDeps, checksOf, createApi } from './app.ts'
import { createAuthenticator } from './auth/create.ts'
import { withInternalCaller } from './auth/internal.ts'
import type { ApiConfig } from './config.ts'
import { startRevoker } from './console-auth-tokens/revoker.ts'
import { startSweeper } from './console-auth-tokens/sweeper.ts'
import type { StoreOptions } from './database/open.ts'
import { listen } from './listen.ts'
import { type ApiMetrics, createApiMetrics } from './metrics.ts'
import { ScreenThread } from './screenshots/screen-thread.ts'
import { startKeeper } from './sessions/keeper.ts'
import { endAfter, revokeServer } from './sessions/revoke.ts'
import { createSources, reloadableSourceKeys } from './sources/create.ts'
import type { ServerChange } from './sources/source.ts'
import { openStores } from './stores.ts'

export interface ApiContext {
  readonly log: Logger
  /** The token of the proxy in the same process; created for this process and never shared. */
  readonly internal?: Secret
  /** Aborts a start that still waits for its database. */
  readonly signal?: AbortSignal
}

export interface RunningApi extends AsyncDisposable {
  /** The bound address, such as `127.0.0.1:8774`. */
  readonly address: string
  /** The same as an origin, such as `http://127.0.0.1:8774`. */
  readonly origin: string
  /**
   * Where the proxy of the same process reaches the API. With TLS this is a listener on loopback that accepts only
   * `ApiContext.internal`: the certificate need not be valid for loopback.
   */
  readonly internalOrigin: string
  /** The bound `host:port` of the admin listener, if one is configured. */
  readonly admin?: string
  /** Makes `/readyz` respond 503 from now on. Disposal does this too, and then stops listening. */
  setDraining(): void
  /** Applies the keys in `reloadableApiKeys`, and ignores all others. */
  reload(config: Pick<ApiConfig, 'sources' | 'tls'>): void
}

/** The keys that may change while the API runs, for `runProgram`. */
export const reloadableApiKeys: readonly string[] = [
  ...reloadableSourceKeys,
  ...reloadableTlsKeys.map((key) => `tls.${key}`),
]

/**
 * Starts the API: opens its adapters, listens, and logs `listening` with the address.
 *
 * Disposing of it makes `/readyz` respond 503, stops listening, drains pending requests for at most `limits.drain_seconds`,
 * and closes the adapters. The admin listener stops at once, so that a successor can listen on its address.
 * @throws ConfigError when an adapter cannot work as configured, StoreUnavailable when its database does not answer in
 * time, ListenError when the address cannot be bound.
 */
export async function startApi(config: ApiConfig, { log, internal, signal }: ApiContext): Promise<RunningApi> {
  await using stack = new AsyncDisposableStack()
  const metrics = createApiMetrics()
  const configured = stack.use(await createAuthenticator(config.auth, { log, metrics, publicUrl: publicUrl(config) }))
  const authenticator = internal ? withInternalCaller(configured, internal) : configured
  const sources = stack.use(await createSources(config.sources, { log }))
  const { source } = sources
  const stores = stack.use(await openStores(config.tokens.store, storeOptions(config, { log, signal, metrics })))
  const { tokens, sessions, invitations, serialPorts, ports, control } = stores
  const revokeChanged = async (serverId: string, kind: ServerChange['kind']) =>
    (await revokeServer({ tokens, sessions }, serverId, endAfter({ serverId, kind }, source))).revoked
  stack.use(startSweeper(tokens, { intervalSeconds: config.tokens.sweep_seconds, log }))
  stack.use(startRevoker(source, { revokeServer: revokeChanged }, { log }))
  stack.use(startKeeper(sessions, keeperOptions(config, log)))
  const screens = config.screenshots.enabled ? stack.use(new ScreenThread()) : undefined
  let draining = false
  const deps: ApiDeps = {
    ...{
      config,
      authenticator,
      source,
      tokens,
      sessions,
      invitations,
      serialPorts,
      ports,
      control,
      log,
      ...(screens && { screens }),
      metrics,
    },
    draining: () => draining,
  }
  const api = createApi(deps)
  const admin = stack.use(await startAdmin(config.admin, deps, metrics.registry))
  const listener = stack.use(await listen(api.fetch, { ...listenOptions(config, log), onMalformed: metrics.malformed }))
  const { address } = listener
  const origin = `${schemeOf(config)}://${address}`
  const internalOrigin =
    config.tls && internal ? await startInternal(stack, api.fetch, config, { log, internal }) : origin
  log.info({ address, tls: config.tls !== undefined }, 'listening')
  const setDraining = () => {
    draining = true
    admin?.setDraining()
  }
  stack.defer(() => {
    setDraining()
    admin?.release()
  })
  const adapters = stack.move()
  return {
    ...{ address, origin, internalOrigin, setDraining },
    ...(admin && { admin: admin.address }),
    reload: (next) => {
      sources.reload(next.sources)
      reloadCertificate(listener, next.tls, log)
    },
    [Symbol.asyncDispose]: () => adapters.disposeAsync(),
  }
}

/** Starts the listener for health and metrics, if one is configured. */
async function startAdmin(
  admin: ApiConfig['admin'],
  deps: ApiDeps,
  registry: ApiMetrics['registry'],
): Promise<AdminListener | undefined> {
  if (!admin) return undefined
  return await createAdminListener({ listen: admin.listen, checks: checksOf(deps), registry, log: deps.log })
}

/** Starts a listener on loopback for the proxy of this process alone, and returns its origin. */
async function startInternal(
  stack: AsyncDisposableStack,
  fetch: ReturnType<typeof createApi>['fetch'],
  config: ApiConfig,
  { log, internal }: { log: Logger; internal: Secret },
): Promise<string> {
  const onlyInternal: typeof fetch = (request, ...context) => {
    const token = request.headers.get('X-Auth-Token')
    return token !== null && internal.equals(token) ? fetch(request, ...context) : new Response(null, { status: 403 })
  }
  const { tls: _, ...options } = listenOptions(config, log)
  return `http://${stack.use(await listen(onlyInternal, { ...options, listen: '127.0.0.1:0' })).address}`
}

const schemeOf = ({ tls }: Pick<ApiConfig, 'tls'>) => (tls ? 'https' : 'http')

const publicUrl = (config: ApiConfig) => config.public_url ?? `${schemeOf(config)}://${config.listen}`

const keeperOptions = ({ sessions }: ApiConfig, log: Logger) => ({
  beatSeconds: sessions.beat_seconds,
  retentionDays: sessions.retention_days,
  log,
})

const storeOptions = (
  { tokens }: ApiConfig,
  { log, signal, metrics }: { log: Logger; signal: AbortSignal | undefined; metrics: ApiMetrics },
): StoreOptions => ({
  ...{ poolMax: tokens.pool_max, statementTimeoutMs: tokens.statement_timeout_ms, log, observe: metrics.database },
  ...(signal && { signal }),
})

const listenOptions = ({ listen, tls, limits }: ApiConfig, log: Logger) => ({
  listen,
  tls: tls && listenerTls(tls),
  headerTimeoutMs: limits.header_timeout_seconds * 1000,
  requestTimeoutMs: limits.request_timeout_seconds * 1000,
  drainMs: limits.drain_seconds * 1000,
  log,
})
