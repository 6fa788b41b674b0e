/** The API as a Hono app over its ports, with the steps of a request in order. */
import { BASE_PATH, EXTENSION_PATH } from '@oriel/contract'
import { type Health, type Logger, type Readiness, readiness } from '@oriel/runtime'
import { Hono } from 'hono'
import type { Authenticator } from './auth/authenticator.ts'
import type { ApiSettings } from './config.ts'
import { countLookups } from './console-auth-tokens/count-lookups.ts'
import { showConsoleAuthToken } from './console-auth-tokens/show.ts'
import type { ConsoleAuthTokenStore } from './console-auth-tokens/store.ts'
import { consoleAction, goneAction } from './consoles/actions.ts'
import { createRemoteConsole } from './consoles/create.ts'
import { getConsoleOutput } from './consoles/output.ts'
import { authenticate } from './http/authenticate.ts'
import { bodyLimit, MAX_BODY_BYTES } from './http/body.ts'
import type { ApiEnv } from './http/context.ts'
import { cors } from './http/cors.ts'
import { errorHandler, notFound } from './http/faults.ts'
import { mountGone } from './http/gone.ts'
import { hostHeader } from './http/host.ts'
import { onlyLocal } from './http/local.ts'
import { mountRoutes, type Operations } from './http/mount.ts'
import { MAX_BEAT_BYTES, mountExtension } from './http/mount-extension.ts'
import { routingPath } from './http/path.ts'
import { mountOpenApi, mountProbes } from './http/probes.ts'
import { requestId, requestIdHeaders } from './http/request-id.ts'
import { requestLog } from './http/request-log.ts'
import { requestMetrics } from './http/request-metrics.ts'
import { mountProjectVersion, mountVersions } from './http/versions.ts'
import { type ApiMetrics, createApiMetrics, type SourceState } from './metrics.ts'
import type { ScreenReader } from './screenshots/screen-reader.ts'
import { showScreenshot } from './screenshots/show.ts'
import type { SerialPortDeps } from './serial-ports/deps.ts'
import { keptOutput } from './serial-ports/kept-output.ts'
import { serialPortOperations } from './serial-ports/operations.ts'
import type { SerialPortStore } from './serial-ports/store.ts'
import { listServers, listServersDetail } from './servers/list.ts'
import { listSources } from './servers/list-sources.ts'
import { listServersWithConsoles } from './servers/list-with-consoles.ts'
import { showServer } from './servers/show.ts'
import type { ControlStore } from './sessions/control-store.ts'
import type { InvitationStore } from './sessions/invitation-store.ts'
import { News } from './sessions/news.ts'
import { sessionOperations } from './sessions/operations.ts'
import type { PortStore } from './sessions/port-store.ts'
import type { SessionStore } from './sessions/store.ts'
import { answersAtAll } from './sources/combine.ts'
import type { Source } from './sources/source.ts'

export interface ApiDeps {
  readonly config: ApiSettings
  readonly authenticator: Authenticator
  /** Use `combineSources` for several sources. */
  readonly source: Source
  readonly tokens: ConsoleAuthTokenStore
  /** Must be in the same database as `tokens`. */
  readonly sessions: SessionStore
  /** Must be in the same database as `sessions`. */
  readonly invitations: InvitationStore
  /** Must be in the same database as `sessions`. */
  readonly serialPorts: SerialPortStore
  /** Must be in the same database as `sessions`. */
  readonly ports: PortStore
  /** Must be in the same database as `sessions`. */
  readonly control: ControlStore
  readonly log: Logger
  /** Absent: there are no screenshots. */
  readonly screens?: ScreenReader
  /** Default: metrics that nothing serves. */
  readonly metrics?: ApiMetrics
  /** Whether the program is about to stop, for which `/readyz` responds 503. Default: never. */
  readonly draining?: () => boolean
  /** How often to look for what other replicas have changed in the database, in milliseconds. Default: 1000. */
  readonly replicaPollMs?: number
  /** How long a proxy may take to report the output of a serial port, in milliseconds. Default: 3000. */
  readonly serialLogMs?: number
}

/**
 * Creates the API. Call it with `app.request` or serve `app.fetch`. The caller closes the dependencies.
 * @example (await createApi(deps).request('/v2.1')).status // 200
 */
export function createApi(deps: ApiDeps): Hono<ApiEnv> {
  const { config, log, authenticator, metrics = createApiMetrics() } = deps
  const sourcesReady = readiness(sourceChecks(deps), { log })
  metrics.sources(async () => sourceStates((await sourcesReady()).checks))
  const app = new Hono<ApiEnv>({ getPath: (request, options) => routingPath(request, options?.env ?? undefined) })
  app.onError(errorHandler({ wwwAuthenticate: authenticator.wwwAuthenticate, log }))
  app.notFound(() => {
    throw notFound()
  })
  app.use(requestMetrics(metrics), requestId(), requestLog(log))
  for (const path of [BASE_PATH, EXTENSION_PATH]) app.use(`${path}/*`, requestIdHeaders())
  app.use(hostHeader())
  if (authenticator.unauthenticated) {
    app.use(onlyLocal({ publicUrl: config.public_url, origins: config.cors.allowed_origins }))
  }
  app.use(cors(config.cors.allowed_origins, log), bodyLimit(maxBodyBytes))
  mountProbes(app, {
    checks: checksOf(deps),
    sources: sourcesReady,
    draining: deps.draining ?? (() => false),
    log,
  })
  mountOpenApi(app)
  mountVersions(app, config.public_url)
  for (const path of [BASE_PATH, EXTENSION_PATH]) app.use(`${path}/*`, authenticate(authenticator, metrics))
  mountProjectVersion(app, config.public_url)
  mountGone(app)
  const serial = { ...deps, metrics, logAsks: new News(), consoleNews: new News() }
  mountRoutes(app, {
    operations: operations(serial, metrics),
    publicUrl: config.public_url,
    sourceTimeoutMs: config.limits.source_timeout_seconds * 1000,
    log,
  })
  mountExtension(app, {
    operations: {
      ...countedSessions(sessionOperations(serial), metrics),
      ...serialPortOperations(serial),
      listServersWithConsoles: listServersWithConsoles(deps),
      showScreenshot: showScreenshot(deps),
      listSources: listSources(deps),
    },
    policy: config.policy,
    sourceTimeoutMs: config.limits.source_timeout_seconds * 1000,
    log,
  })
  return app
}

// The extension enforces policy before it reads a body, so that only callers who may admit sessions can send a long one.
const maxBodyBytes = (path: string) => (path.startsWith(`${EXTENSION_PATH}/`) ? MAX_BEAT_BYTES : MAX_BODY_BYTES)

/** The operations by route of the contract. The version document has none, since it is served before authentication. */
function operations(deps: ApiDeps & SerialPortDeps, metrics: ApiMetrics) {
  const show = showConsoleAuthToken(deps)
  return {
    getVncConsole: consoleAction(deps, 'vnc'),
    getSpiceConsole: consoleAction(deps, 'spice'),
    getSerialConsole: consoleAction(deps, 'serial', 'serial-action'),
    getRdpConsole: goneAction('rdp'),
    getConsoleOutput: getConsoleOutput({ ...deps, keptOutput: keptOutput(deps) }),
    createRemoteConsole: createRemoteConsole(deps),
    showConsoleAuthToken: { handle: countLookups(metrics, show.handle) },
    listServers: listServers(deps),
    listServersDetail: listServersDetail(deps),
    showServer: showServer(deps),
  } satisfies Operations
}

/** A session that continues an earlier one looks no token up. */
function countedSessions(operations: ReturnType<typeof sessionOperations>, metrics: ApiMetrics) {
  const { admitSession } = operations
  const counted = countLookups(metrics, admitSession)
  const admit: typeof admitSession = (call) => ('token' in call.body ? counted(call) : admitSession(call))
  return { ...operations, admitSession: admit }
}

/** Checks the parts without which the API cannot work. */
export function checksOf({
  source,
  tokens,
  authenticator,
}: Pick<ApiDeps, 'source' | 'tokens' | 'authenticator'>): readonly Health[] {
  return [
    { name: 'tokens', check: () => tokens.check() },
    { name: 'sources', check: (signal) => answersAtAll(source, { ...(signal && { signal }) }) },
    { name: 'authentication', check: (signal) => authenticator.check?.(signal) },
  ]
}

const sourceStates = (checks: Readiness['checks']): SourceState[] =>
  Object.entries(checks).map(([source, state]) => ({ source, isUp: state === 'ok' }))

/** Readiness checks for each source, in the order of the configuration. */
function sourceChecks({ source }: Pick<ApiDeps, 'source'>): readonly Health[] {
  return (source.parts ?? [source]).map((part, index) => ({
    name: `sources[${index}] ${part.name}`,
    check: (signal) => part.check?.({ ...(signal && { signal }) }),
  }))
}
