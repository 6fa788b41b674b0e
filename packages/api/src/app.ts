/** The API as a Hono app over ports. Every step of a request is named here, in its order. */
import { BASE_PATH, EXTENSION_PATH } from '@oriel/contract'
import type { Health, Logger } from '@oriel/runtime'
import { Hono } from 'hono'
import type { Authenticator } from './auth/authenticator.ts'
import type { ApiSettings } from './config.ts'
import { showConsoleAuthToken } from './console-auth-tokens/show.ts'
import type { ConsoleAuthTokenStore } from './console-auth-tokens/store.ts'
import { consoleAction, goneAction } from './consoles/actions.ts'
import { createRemoteConsole } from './consoles/create.ts'
import { getConsoleOutput } from './consoles/output.ts'
import { authenticate } from './http/authenticate.ts'
import { bodyLimit, MAX_BODY_BYTES } from './http/body.ts'
import type { ApiEnv } from './http/context.ts'
import { cors } from './http/cors.ts'
import { answerErrors, notFound } from './http/faults.ts'
import { mountGone } from './http/gone.ts'
import { hostHeader } from './http/host.ts'
import { onlyLocal } from './http/local.ts'
import { mountRoutes, type Operations } from './http/mount.ts'
import { MAX_BEAT_BYTES, mountExtension } from './http/mount-extension.ts'
import { routingPath } from './http/path.ts'
import { mountOpenApi, mountProbes } from './http/probes.ts'
import { requestId, requestIdHeaders } from './http/request-id.ts'
import { requestLog } from './http/request-log.ts'
import { mountProjectVersion, mountVersions } from './http/versions.ts'
import { listServers, listServersDetail } from './servers/list.ts'
import { listSources } from './servers/list-sources.ts'
import { showServer } from './servers/show.ts'
import { sessionOperations } from './sessions/operations.ts'
import type { SessionStore } from './sessions/store.ts'
import { answersAtAll } from './sources/combine.ts'
import type { Source } from './sources/source.ts'

export interface ApiDeps {
  readonly config: ApiSettings
  readonly authenticator: Authenticator
  /** Several sources become one by `combineSources`. */
  readonly source: Source
  readonly tokens: ConsoleAuthTokenStore
  /** In the same database as `tokens`. */
  readonly sessions: SessionStore
  readonly log: Logger
  /** Whether the program is about to stop, so that `/readyz` says 503. Default: never. */
  readonly draining?: () => boolean
}

/**
 * The API. Call it with `app.request` or serve `app.fetch`. It closes none of its dependencies.
 * @example (await createApi(deps).request('/v2.1')).status // 200
 */
export function createApi(deps: ApiDeps): Hono<ApiEnv> {
  const { config, log, authenticator } = deps
  const app = new Hono<ApiEnv>({ getPath: (request, options) => routingPath(request, options?.env ?? undefined) })
  app.onError(answerErrors({ wwwAuthenticate: authenticator.wwwAuthenticate, log }))
  app.notFound(() => {
    throw notFound()
  })
  app.use(requestId(), requestLog(log))
  for (const path of [BASE_PATH, EXTENSION_PATH]) app.use(`${path}/*`, requestIdHeaders())
  app.use(hostHeader())
  if (authenticator.unauthenticated) {
    app.use(onlyLocal({ publicUrl: config.public_url, origins: config.cors.allowed_origins }))
  }
  app.use(cors(config.cors.allowed_origins, log), bodyLimit(maxBodyBytes))
  mountProbes(app, {
    checks: checksOf(deps),
    sources: sourceChecks(deps),
    draining: deps.draining ?? (() => false),
    log,
  })
  mountOpenApi(app)
  mountVersions(app, config.public_url)
  for (const path of [BASE_PATH, EXTENSION_PATH]) app.use(`${path}/*`, authenticate(authenticator))
  mountProjectVersion(app, config.public_url)
  mountGone(app)
  mountRoutes(app, {
    operations: operations(deps),
    publicUrl: config.public_url,
    sourceTimeoutMs: config.limits.source_timeout_seconds * 1000,
    log,
  })
  mountExtension(app, {
    operations: { ...sessionOperations(deps), listSources: listSources(deps) },
    policy: config.policy,
    sourceTimeoutMs: config.limits.source_timeout_seconds * 1000,
    log,
  })
  return app
}

// Only those who may admit sessions get as far as sending a long body: the extension asks policy before it reads.
const maxBodyBytes = (path: string) => (path.startsWith(`${EXTENSION_PATH}/`) ? MAX_BEAT_BYTES : MAX_BODY_BYTES)

/** What answers each route of the contract. The version document has no row: it is answered before authentication. */
function operations(deps: ApiDeps) {
  return {
    getVncConsole: consoleAction(deps, 'vnc'),
    getSpiceConsole: consoleAction(deps, 'spice'),
    getSerialConsole: consoleAction(deps, 'serial', 'serial-action'),
    getRdpConsole: goneAction('rdp'),
    getConsoleOutput: getConsoleOutput(deps),
    createRemoteConsole: createRemoteConsole(deps),
    showConsoleAuthToken: showConsoleAuthToken(deps),
    listServers: listServers(deps),
    listServersDetail: listServersDetail(deps),
    showServer: showServer(deps),
  } satisfies Operations
}

function checksOf({ source, tokens, authenticator }: ApiDeps): readonly Health[] {
  return [
    { name: 'tokens', check: () => tokens.check() },
    { name: 'sources', check: (signal) => answersAtAll(source, { ...(signal && { signal }) }) },
    { name: 'authentication', check: (signal) => authenticator.check?.(signal) },
  ]
}

/** Each source by itself, in the order of the configuration. */
function sourceChecks({ source }: ApiDeps): readonly Health[] {
  return (source.parts ?? [source]).map((part, index) => ({
    name: `sources[${index}] ${part.name}`,
    check: (signal) => part.check?.({ ...(signal && { signal }) }),
  }))
}
