/** The native SPICE frontend: its ports, keys and tickets, and the endpoint that serves `.vv` files. */
import { parseListen } from '@oriel/runtime'
import { RateLimit } from '../admit/rate-limit.ts'
import { type AuthorityParts, identityOf } from '../authority/config.ts'
import type { ConnectContext, NativeFrontend } from '../connect/context.ts'
import type { SessionsConfig } from '../session/config.ts'
import type { SpiceContext, SpiceSettings } from './channel/context.ts'
import { type NativeListener, startNativeListener } from './channel/native-listener.ts'
import { DEFAULT_LISTEN, DEFAULT_TLS_LISTEN, type SpiceConfig } from './config.ts'
import { serveVv, VV_PATHS, type VvOptions } from './console-file/vv-endpoint.ts'
import type { SpiceSession } from './session/session.ts'
import { allowedHosts } from './session/target.ts'
import { Tickets } from './session/tickets.ts'
import type { ChannelName } from './wire/protocol.ts'
import { createTicketKeys } from './wire/ticket-keys.ts'

/** The objects that the frontend shares with the rest of the proxy. */
export type SharedContext = Pick<
  SpiceContext,
  | 'authority'
  | 'limits'
  | 'slots'
  | 'sessions'
  | 'trustedProxies'
  | 'forwardedHeader'
  | 'timing'
  | 'budget'
  | 'metrics'
  | 'log'
  | 'draining'
  | 'closing'
>

/** The parts of the configuration that the frontend reads. */
export interface SpiceParts extends AuthorityParts {
  readonly spice?: SpiceConfig | undefined
  readonly sessions: SessionsConfig
}

export interface SpiceFrontend extends NativeFrontend, AsyncDisposable {
  /** The bound `host:port` of the ports for SPICE clients. */
  readonly address?: string
  readonly tlsAddress?: string
  /**
   * Applies certificates, CAs and the hypervisors' ticket from a reloaded configuration to new connections. Keeps the old
   * certificate if the new one is unusable.
   */
  reload(config: SpiceParts): void
  /** Stops listening. Open sessions continue. */
  stop(): void
}

/** The frontend of each native type. */
export const nativeFrontends = (spice: SpiceFrontend | undefined): ConnectContext['frontends'] => ({
  'spice-direct': spice,
})

/** Timeouts and limits without a configuration key. */
export interface SpiceBounds {
  readonly handshakeTimeoutMs: number
  readonly legTimeoutMs: number
  readonly probeTimeoutMs: number
  readonly wrongTicketDelayMs: number
  readonly flushTimeoutMs: number
  readonly maxWaiting: number
  readonly maxWaitingPerClient: number
  readonly displacedAfterMs: number
  readonly maxChannels: number
  readonly maxTickets: number
  readonly maxTicketsPerToken: number
}

/** The bounds in production; tests choose their own. */
export const spiceBounds: SpiceBounds = {
  handshakeTimeoutMs: 10_000,
  legTimeoutMs: 20_000,
  probeTimeoutMs: 10_000,
  wrongTicketDelayMs: 1_000,
  flushTimeoutMs: 2_000,
  maxWaiting: 1024,
  maxWaitingPerClient: 32,
  // A SPICE client sends link and ticket at once. When all slots are taken, a client that takes longer is replaced.
  displacedAfterMs: 2_000,
  maxChannels: 64,
  maxTickets: 20_000,
  // A user who opens the link again gets another file, so one token may have several tickets.
  maxTicketsPerToken: 32,
}

/**
 * Starts the frontend. Disposal drops all open connections.
 * @throws ListenError if an address cannot be bound; Error if the host cannot create RSA keys of 1024 bits
 */
export async function startSpiceFrontend(
  shared: SharedContext,
  config: SpiceParts,
  overrides: Partial<SpiceBounds> = {},
): Promise<SpiceFrontend> {
  const spice = config.spice!
  const bounds = { ...spiceBounds, ...overrides }
  await using opened = new AsyncDisposableStack()
  const keys = opened.use(
    await createTicketKeys((cause) =>
      shared.log.error({ err: cause }, 'cannot create a new key for SPICE tickets; keeping the old one'),
    ),
  )
  const tickets = opened.use(
    new Tickets({
      firstUseMs: spice.first_use_seconds * 1000,
      max: bounds.maxTickets,
      maxPerToken: bounds.maxTicketsPerToken,
    }),
  )
  const byInstance = new Map<string, SpiceSession>()
  let settings = settingsOf(config, bounds)
  let ca = spice.tls?.ca
  const context: SpiceContext = {
    ...{ ...shared, keys, tickets, byInstance },
    get settings() {
      return settings
    },
  }
  const listeners = await startListeners(context, spice, bounds, opened)
  const vv = vvOptions(spice, listeners, bounds, () => ca)
  const close = opened.move()
  return {
    ...(listeners.clear ? { address: listeners.clear.address } : {}),
    ...(listeners.secure ? { tlsAddress: listeners.secure.address } : {}),
    respond: (listener, path, request, response) => {
      if (!VV_PATHS.includes(path)) return false
      serveVv(context, vv, listener, request, response).catch((err) => {
        shared.log.error({ err }, 'serving a .vv file failed with an unexpected error of the proxy')
        response.destroy()
      })
      return true
    },
    reload: (next) => {
      settings = { ...settings, security: securityOf(next.hypervisor) }
      // If the table was removed, keep the certificate: listeners stay open until the next start.
      if (next.spice) ca = next.spice.tls?.ca
      replaceCertificate(listeners.secure, next, shared.log)
    },
    stop: () => stopAll(listeners),
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

interface Listeners {
  readonly clear?: NativeListener
  readonly secure?: NativeListener
}

/** With TLS, opens a plaintext port only if it is configured; that port only refers clients to the TLS port. */
async function startListeners(
  context: SpiceContext,
  { listen, tls_listen, tls, proxy_protocol: proxyProtocol }: SpiceConfig,
  bounds: SpiceBounds,
  opened: AsyncDisposableStack,
): Promise<Listeners> {
  const start = async (options: { address: string; tls?: { cert: string; key: string }; onlyRefers?: boolean }) => {
    const listener = await startNativeListener(context, { ...bounds, ...options, proxyProtocol })
    opened.defer(() => {
      listener.stop()
      return listener.close()
    })
    return listener
  }
  if (!tls) {
    const clear = await start({ address: listen ?? DEFAULT_LISTEN })
    context.log.warn({ address: clear.address }, 'native SPICE is served in plaintext: configure spice.tls')
    return { clear }
  }
  const secure = await start({
    address: tls_listen ?? DEFAULT_TLS_LISTEN,
    tls: { cert: tls.cert, key: tls.key.reveal() },
  })
  return listen === undefined ? { secure } : { secure, clear: await start({ address: listen, onlyRefers: true }) }
}

function replaceCertificate(
  listener: NativeListener | undefined,
  { spice }: SpiceParts,
  log: SharedContext['log'],
): void {
  if (!listener || !spice?.tls) return
  const { cert, key } = spice.tls
  try {
    listener.secure({ cert, key: key.reveal() })
  } catch (err) {
    log.error({ listener: listener.address, err }, 'the new certificate is unusable; keeping the old one')
  }
}

function stopAll({ clear, secure }: Listeners): void {
  clear?.stop()
  secure?.stop()
}

function settingsOf(config: SpiceParts, bounds: SpiceBounds): SpiceSettings {
  const { spice, hypervisor, sessions } = config
  const { in_use, policy, hidden_channels, migration_hosts, reconnect_grace_seconds } = spice!
  return {
    ...bounds,
    policy,
    inUse: in_use,
    graceMs: reconnect_grace_seconds * 1000,
    hidden: new Set(hidden_channels as ChannelName[]),
    migrationHosts: allowedHosts(migration_hosts),
    identity: identityOf(config),
    enforceTokenExpiry: sessions.enforce_token_expiry,
    security: securityOf(hypervisor),
  }
}

function securityOf({ spice, hosts }: SpiceParts['hypervisor']): SpiceSettings['security'] {
  const { ca, subject, allow_plaintext, password } = spice ?? {}
  return { ca, subject, hosts, allowPlaintext: allow_plaintext, password }
}

/** With TLS, the file contains only the TLS port. */
function vvOptions(
  spice: SpiceConfig,
  { clear, secure }: Listeners,
  { probeTimeoutMs }: SpiceBounds,
  ca: () => string | undefined,
): VvOptions {
  const { public_host: host, public_port, public_tls_port, files_per_minute } = spice
  const portOf = ({ address }: NativeListener) => parseListen(address).port
  const ports = secure ? { tlsPort: public_tls_port ?? portOf(secure) } : { port: public_port ?? portOf(clear!) }
  return {
    rateLimit: new RateLimit({ perMinute: files_per_minute }),
    endpoint: () => ({ host, ...ports }),
    ca,
    probeTimeoutMs,
  }
}
