/** `proxy.toml`, composed of the tables that each feature defines, and the faults between them. */
import { type ConfigFault, type ListenKey, reloadableTlsKeys, sharedAddresses, table } from '@oriel/runtime'
import * as Type from 'typebox'
import { adminFaults, adminTable } from './admin/config.ts'
import { originFaults, originTable } from './admit/config.ts'
import { authorityFaults, authorityTable } from './authority/config.ts'
import { consolesFaults, consolesTable } from './consoles/config.ts'
import { isNativeType } from './consoles/kinds.ts'
import { hypervisorFaults, hypervisorTable } from './hypervisor/config.ts'
import { homeTable, isNative, listenerTable, listenFaults, servedTypes } from './listen/config.ts'
import { sessionsTable } from './session/config.ts'
import { servesSpice, spiceFaults, spiceTable } from './spice/config.ts'
import type { Timing } from './timing.ts'

/** The schema of `proxy.toml`. */
export const proxyConfig = table({
  authority: authorityTable,
  listen: Type.Array(listenerTable, { minItems: 1 }),
  spice: Type.Optional(spiceTable),
  origin: originTable,
  hypervisor: hypervisorTable,
  sessions: sessionsTable,
  consoles: consolesTable,
  home: homeTable,
  admin: Type.Optional(adminTable),
})

export type ProxyConfig = Type.Static<typeof proxyConfig>

/** Finds faults between keys, each of which is valid by itself. For `loadConfig`'s `refine`. */
export function refineProxyConfig(config: ProxyConfig): readonly ConfigFault[] {
  return [
    ...authorityFaults(config.authority),
    ...originFaults(config.origin),
    ...listenFaults(config),
    ...wrongWorkers(config),
    ...withoutPings(config),
    ...adminFaults(config.admin),
    ...hypervisorFaults(config.hypervisor, config.authority.kind),
    ...consolesFaults(config.consoles, config.authority.kind),
    ...unverified(),
    ...spiceFaults(config),
    ...sharedAddresses(listenKeys(config)),
  ]
}

/** Returns every key that contains an address to listen on. */
export function listenKeys({
  listen,
  spice,
  admin,
}: Pick<ProxyConfig, 'listen' | 'spice' | 'admin'>): readonly ListenKey[] {
  const native = servesSpice(listen) ? { 'spice.listen': spice?.listen, 'spice.tls_listen': spice?.tls_listen } : {}
  const others = Object.entries({ ...native, 'admin.listen': admin?.listen })
  return [
    ...listen.map(({ address }, i) => ({ path: `listen[${i}].address`, address })),
    ...others.flatMap(([path, address]) => (address === undefined ? [] : [{ path, address }])),
  ]
}

/** Requires a listener for the other workers: native types are served by one process only. */
function wrongWorkers({ listen, sessions }: ProxyConfig): ConfigFault[] {
  if (sessions.workers === 1 || !listen.every(isNative)) return []
  const types = listen.flatMap(servedTypes).filter(isNativeType).join(', ')
  const message = `the listeners serve only ${types}, which needs a single process: set it to 1`
  return [{ path: 'sessions.workers', message }]
}

/** Warns that balancers close idle consoles if nothing is sent for longer than their timeout. */
function withoutPings({ origin, sessions }: ProxyConfig): ConfigFault[] {
  if (sessions.ping_interval_seconds > 0 || origin.trusted_proxies.length === 0) return []
  const message =
    '0 sends no pings, so the balancers in origin.trusted_proxies close idle consoles: set it below their timeout for silent tunnels'
  return [{ path: 'sessions.ping_interval_seconds', message, severity: 'warning' }]
}

/** Refuses to start while a variable of Node disables certificate verification. */
function unverified(): ConfigFault[] {
  const name = 'NODE_TLS_REJECT_UNAUTHORIZED'
  if (process.env[name] !== '0') return []
  return [{ path: name, message: 'disables certificate verification: remove it from the environment' }]
}

/** The keys that `RunningProxy.reload` applies: certificates, private and resume keys, and the security of legs to SPICE servers. */
export const reloadableProxyKeys: readonly string[] = [
  ...reloadableTlsKeys.map((key) => `listen[].tls.${key}`),
  ...['cert', 'key', 'ca'].map((key) => `spice.tls.${key}`),
  'hypervisor.spice',
  'sessions.resume_key',
]

/** Returns the configured timeouts, and constants for those without a key. */
export function timingOf({ hypervisor, sessions }: ProxyConfig, overrides: Partial<Timing> = {}): Timing {
  return {
    dialTimeoutMs: hypervisor.dial_timeout_ms,
    hypervisorHandshakeMs: hypervisor.handshake_timeout_ms,
    clientHandshakeMs: 10_000,
    pingIntervalMs: sessions.ping_interval_seconds * 1000,
    idleTimeoutMs: sessions.idle_timeout_seconds * 1000,
    maxSessionMs: sessions.max_seconds * 1000,
    stalledAfterMs: 60_000,
    closeTimeoutMs: 5_000,
    drainMs: sessions.drain_seconds * 1000,
    ...overrides,
  }
}
