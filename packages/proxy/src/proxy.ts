/** Composes the proxy from its parts, starts them in order, and stops them in order. */
import {
  type AdminListener,
  addressSet,
  createAdminListener,
  type Health,
  type Logger,
  listenerTls,
  RefusedOrigins,
} from '@oriel/runtime'
import type * as prom from 'prom-client'
import { type Protection, protectionOf } from './admin/protection.ts'
import { type SessionControl, sessionItem, sessionRoutes } from './admin/sessions.ts'
import { Limits, type SessionLimits, type Slots } from './admit/limits.ts'
import { allowedOrigin, anyPort } from './admit/origin.ts'
import { RateLimit } from './admit/rate-limit.ts'
import { UnauthenticatedLimits } from './admit/unauthenticated-limits.ts'
import type { Authority, Validation } from './authority/authority.ts'
import { identityOf } from './authority/config.ts'
import { createAuthority } from './authority/index.ts'
import { type ProxyConfig, timingOf } from './config.ts'
import type { ConnectContext } from './connect/context.ts'
import { Moves, type MoveTimes } from './connect/moves.ts'
import { consoleSettings } from './consoles/config.ts'
import { createConsoles } from './consoles/index.ts'
import type { ServedConsoleType } from './consoles/kinds.ts'
import { reloadCertificates } from './listen/certificates.ts'
import { type ListenerConfig, servedTypes } from './listen/config.ts'
import { type Listener, type ListenerOptions, startListener } from './listen/http.ts'
import { loadPages } from './listen/pages.ts'
import { createMetrics } from './metrics.ts'
import { LocalConsoles } from './presence/local-consoles.ts'
import type { SharedConsoles } from './presence/shared-consoles.ts'
import { randomKey, Seal } from './resume/seal.ts'
import { Tickets } from './resume/tickets.ts'
import type { SerialPeers } from './serial/peers.ts'
import { BufferBudget } from './session/buffer-budget.ts'
import type { SessionView } from './session/open-session.ts'
import { OpenPages, type PageSessions } from './session/page-sessions.ts'
import { type LaterSession, Sessions } from './session/sessions.ts'
import { servesSpice } from './spice/config.ts'
import { nativeFrontends, type SpiceBounds, type SpiceFrontend, startSpiceFrontend } from './spice/frontend.ts'
import { accessTo } from './standing/access.ts'
import type { StandingTimes } from './standing/backoff.ts'
import { StandingSerialPorts } from './standing/standing-ports.ts'
import type { Timing } from './timing.ts'

export interface ProxyDeps {
  /** Checked by the schema and by `refineProxyConfig`. */
  readonly config: ProxyConfig
  /** Resolves tokens. The proxy disposes it. */
  readonly authority: Authority
  readonly log: Logger
  /** The folder of built console pages. Default: none, and no page is served. */
  readonly pages?: string | undefined
  /** Whether the authority requires no credentials. Default: whether `authority.auth.method` is `none`. */
  readonly unauthenticated?: boolean | undefined
  /** The slots for sessions, if other processes share them. Default: those of this process. */
  readonly slots?: Slots | undefined
  /** The pages' sessions, if other processes share them. Default: those of this process. */
  readonly pageSessions?: PageSessions | undefined
  /** Ends earlier sessions of a page in all processes. Default: in this one. */
  readonly endEarlier?: ((later: LaterSession) => void) | undefined
  /** The consoles that sessions share, if those of other processes do too. Default: those of this process. */
  readonly sharedConsoles?: SharedConsoles | undefined
  /** The serial ports of other processes, if there are any. */
  readonly serialPeers?: SerialPeers | undefined
  /** Overrides time spans of the configuration. */
  readonly timing?: Partial<Timing>
  /** Overrides bounds of native SPICE. */
  readonly spiceBounds?: Partial<SpiceBounds>
  /** Overrides the pauses and the deadline while a machine moves to another host. */
  readonly moveTimes?: Partial<MoveTimes> | undefined
  /** Overrides the pauses between attempts to open a serial port that the proxy stays attached to. */
  readonly standingTimes?: Partial<StandingTimes> | undefined
}

export interface RunningProxy extends AsyncDisposable {
  /** The listeners, in the order of the configuration, each with its bound `host:port`. */
  readonly listeners: readonly { readonly address: string; readonly consoles: readonly ServedConsoleType[] }[]
  /** The bound `host:port`s for native SPICE, if it is served. */
  readonly spice?: { readonly address?: string; readonly tlsAddress?: string }
  /** The bound `host:port` of the admin listener, if one is configured. */
  readonly admin?: string
  /**
   * Applies `reloadableProxyKeys` of a configuration that was read again. Open sessions continue. Other changes take effect
   * at the next start.
   */
  reload(config: ProxyConfig): void
  /** Returns the open sessions. No entry has a credential. */
  sessions(): readonly SessionView[]
  /** The sources of an admin listener, for one that runs in another process. */
  readonly inside: {
    readonly sessions: SessionControl
    readonly endEarlier: (later: LaterSession) => void
    readonly registry: prom.Registry
    readonly health: Health
    readonly protection: () => Protection
    /** Ends a session at the request of its page. */
    readonly leave: (sessionId: string) => void
  }
}

const MIB = 1024 * 1024
/** People click a few buttons. Each request may be a message to everybody else. */
const PRESENCE_REQUESTS_PER_MINUTE = 60
/** How many connections a listener accepts besides open consoles and their pages: requests, and Upgrades in progress. */
const SPARE_CONNECTIONS = 1024

/**
 * Starts a proxy with the authority of its configuration.
 * @throws ListenError if an address cannot be bound; nothing stays open then
 */
export function startProxy(
  config: ProxyConfig,
  { log, pages, unauthenticated }: Pick<ProxyDeps, 'log' | 'pages' | 'unauthenticated'>,
): Promise<RunningProxy> {
  return createProxy({ config, log, pages, unauthenticated, authority: createAuthority(config, log) })
}

/**
 * Starts a proxy with the given authority. Disposal stops it: `/readyz` answers 503, listeners close, sessions are closed
 * as `draining` within `drain_seconds`, and the remaining ones are dropped.
 * @throws ListenError if an address cannot be bound; nothing stays open then
 */
export async function createProxy(deps: ProxyDeps): Promise<RunningProxy> {
  const { config, authority, log } = deps
  await using opened = new AsyncDisposableStack()
  opened.use(authority)
  authority.watch?.(log)
  const timing = timingOf(config, deps.timing)
  const stopping = { draining: false, closing: new AbortController() }
  const seal = new Seal(config.sessions.resume_key ?? randomKey())
  const shared = contextOf(deps, timing, stopping, seal)
  // Released only after the sessions have closed: until then their ports could not be opened by another proxy.
  opened.use(standingPorts(shared, deps))
  const pages = await loadPages(deps.pages, {
    apiUrl: config.home.api_url,
    frameAncestors: config.origin.allowed.map(anyPort),
    consoles: [...new Set(config.listen.flatMap(servedTypes))],
  })
  const listeners: Listener[] = []
  opened.defer(() => Promise.all(listeners.map((listener) => listener.close())).then(() => {}))
  const protection = () => protectionOf(config, authority.validation ?? 'built-in')
  const admin = config.admin && (await startAdmin(config.admin, shared, protection))
  if (admin) opened.use(admin)
  const spice =
    config.spice && servesSpice(config.listen)
      ? opened.use(await startSpiceFrontend(shared, config, deps.spiceBounds))
      : undefined
  const context: ConnectContext = { ...shared, frontends: nativeFrontends(spice) }
  opened.defer(() => stop(context, stopping, spice ? [...listeners, spice] : listeners, admin))
  const { unauthenticated = config.authority.auth.method === 'none' } = deps
  for (const listen of config.listen) {
    // Beside each console, its page may have a WebSocket for presence.
    const maxConnections = 2 * config.sessions.max_total + SPARE_CONNECTIONS
    listeners.push(await startListener(context, pages, { ...listenerOptions(listen), unauthenticated }, maxConnections))
  }
  log.debug({ pages: pages.size }, 'console pages loaded')
  logProtection(protection(), authority.validation, log)
  const close = opened.move()
  return {
    listeners: listeners.map(({ address, consoles }) => ({ address, consoles })),
    ...(admin ? { admin: admin.address } : {}),
    ...(spice ? { spice: addressesOf(spice) } : {}),
    reload: (next) => {
      reloadCertificates(listeners, next.listen, log)
      spice?.reload(next)
      if (next.sessions.resume_key) seal.rekey(next.sessions.resume_key)
    },
    sessions: () => context.sessions.list(),
    inside: {
      sessions: controlOf(context.sessions),
      endEarlier: (later) => context.sessions.endEarlier(later),
      registry: context.metrics.registry,
      health: authority.health,
      protection,
      leave: (id) => leaveSession(context.sessions, id),
    },
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

/** Attaches to the serial ports that the authority names, if the configuration wants that. */
function standingPorts(
  context: Omit<ConnectContext, 'frontends'>,
  { config, authority, log, standingTimes: times }: ProxyDeps,
): StandingSerialPorts | undefined {
  const { standing, standing_ports } = config.consoles.serial
  const directory = authority.standingPorts
  if (!standing || !directory) return undefined
  const ports = new StandingSerialPorts({
    directory,
    maxPorts: standing_ports,
    accessTo: (port) => accessTo(context, directory, port),
    outputOf: ({ admission }, maxBytes) => context.consoles.serial.output?.(admission, maxBytes),
    forget: ({ admission }) => context.consoles.serial.forget?.(admission),
    releaseTimeoutMs: config.authority.timeout_ms,
    log,
    times,
  })
  context.metrics.standingPorts(() => ports.counts)
  return ports
}

/** Logs the protection in force, so that an operator does not rely on a check that is off. */
function logProtection(protection: Protection, validation: Validation | undefined, log: Logger): void {
  if (validation === 'off')
    log.warn({ protection }, 'validate is off: only hypervisor.identity detects ports that changed hands')
  else log.info({ protection }, 'protection against ports that changed hands')
}

const addressesOf = ({ address, tlsAddress }: SpiceFrontend) => ({
  ...(address === undefined ? {} : { address }),
  ...(tlsAddress === undefined ? {} : { tlsAddress }),
})

interface Stopping {
  draining: boolean
  readonly closing: AbortController
}

function contextOf(
  {
    config,
    authority,
    log,
    slots,
    pageSessions = new OpenPages(),
    sharedConsoles,
    serialPeers,
    moveTimes,
    endEarlier,
  }: ProxyDeps,
  timing: Timing,
  stopping: Stopping,
  seal: Seal,
): Omit<ConnectContext, 'frontends'> {
  const { sessions, origin } = config
  const open = new Sessions()
  const limits = new Limits(sessionLimits(config))
  const budget = new BufferBudget(sessions.max_buffered_mib * MIB)
  const trustedProxies = addressSet(origin.trusted_proxies)
  const { breaker, namesBreaker } = authority
  const metrics = createMetrics({ sessions: () => open.open(), budget, breaker, namesBreaker })
  return {
    consoles: createConsoles(consoleSettings(config), serialPeers),
    identity: identityOf(config),
    authority,
    sharing: { share: sessions.share, inUse: sessions.in_use },
    limits,
    slots: slots ?? limits,
    sessions: open,
    moves: authority.locate
      ? new Moves({ authority, log, times: moveTimes, onResult: (...move) => metrics.moved(...move) })
      : undefined,
    endEarlier: endEarlier ?? ((later) => open.endEarlier(later)),
    pageSessions,
    tickets: new Tickets({ seal, resumeMs: sessions.resume_seconds * 1000, maxSessionMs: timing.maxSessionMs }),
    sharedConsoles: sharedConsoles ?? localConsoles(authority, log, (id) => leaveSession(open, id)),
    presenceRequests: new RateLimit({ perMinute: PRESENCE_REQUESTS_PER_MINUTE }),
    budget,
    allowedOrigins: Object.freeze(origin.allowed.map(allowedOrigin)),
    refusedOrigins: new RefusedOrigins({ log, key: 'origin.allowed', allowed: origin.allowed }),
    trustedProxies,
    forwardedHeader: origin.forwarded_header,
    unauthenticatedLimits: new UnauthenticatedLimits({
      // Below the listeners' own limit, so that a new connection is accepted before it replaces another.
      maxWaiting: () => sessions.max_total + SPARE_CONNECTIONS / 2 - open.size,
      maxWaitingPerClient: sessions.max_waiting_per_client,
      unknownTokensPerMinute: sessions.unknown_tokens_per_minute,
      trustedProxies,
      onFull: (client) => log.warn({ client, limit: 'max_waiting_per_client' }, 'connections of a client are dropped'),
      onDisplaced: (client) => log.warn({ client }, 'too many waiting connections: new ones replace silent ones'),
    }),
    enforceTokenExpiry: sessions.enforce_token_expiry,
    timing,
    metrics,
    log,
    draining: () => stopping.draining,
    closing: stopping.closing.signal,
  }
}

function localConsoles({ sharedControl }: Authority, log: Logger, endSession: (id: string) => void): LocalConsoles {
  const consoles = new LocalConsoles({ log, endSession, arbiter: sharedControl })
  sharedControl?.subscribe(consoles)
  return consoles
}

/** The limits of the configuration. */
export const sessionLimits = ({ sessions }: ProxyConfig): SessionLimits => ({
  maxTotal: sessions.max_total,
  maxPerToken: sessions.max_per_token,
  maxPerInstance: sessions.max_per_instance,
  maxPerClient: sessions.max_per_client,
  singleUse: sessions.single_use,
  share: sessions.share,
  inUse: sessions.in_use,
})

function startAdmin(
  { listen, token_sha256 }: NonNullable<ProxyConfig['admin']>,
  { authority, metrics, sessions, log }: Pick<ConnectContext, 'authority' | 'metrics' | 'sessions' | 'log'>,
  protection: () => Protection,
): Promise<AdminListener> {
  const checks: Health[] = [authority.health]
  const routes = sessionRoutes({ sessions: controlOf(sessions), tokenSha256: token_sha256 })
  const notes = () => ({ protection: protection() })
  return createAdminListener({ listen, checks, notes, registry: metrics.registry, routes, log })
}

const leaveSession = (sessions: Sessions, id: string) => sessions.end(id, { reason: 'client_closed' })

/** The sessions of this process. */
function controlOf(sessions: Sessions): SessionControl {
  return {
    list: async () => sessions.open().map(sessionItem),
    end: async (id) => sessions.end(id, { reason: 'ended' }),
  }
}

/**
 * Stops in this order: refuse, stop listening, close sessions, abort connects in progress. The admin listener closes with
 * the others, so that a successor can start, and answer `/readyz`, while sessions still close.
 */
async function stop(
  context: ConnectContext,
  stopping: Stopping,
  listeners: readonly { stop(): void }[],
  admin?: AdminListener,
) {
  stopping.draining = true
  admin?.setDraining()
  for (const listener of listeners) listener.stop()
  admin?.release()
  await context.sessions.drain(context.timing.drainMs)
  stopping.closing.abort(new Error('the proxy is stopping'))
}

function listenerOptions(listen: ListenerConfig): Omit<ListenerOptions, 'unauthenticated'> {
  const { address, base_url: baseUrl, tls, proxy_protocol: proxyProtocol } = listen
  return { address, baseUrl, consoles: servedTypes(listen), tls: tls && listenerTls(tls), proxyProtocol }
}
