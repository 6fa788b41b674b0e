/** The proxy: from an Upgrade with a token to the bytes of a console. */

export { describeProtection } from './admin/protection.ts'
export {
  type Admission,
  type Authority,
  admissionOf,
  UnusableConnectInfo,
} from './authority/authority.ts'
export { authorityOnlineFaults } from './authority/index.ts'
export { type NovaAuthorityOptions, novaAuthority } from './authority/nova.ts'
export { type OrielAuthorityOptions, orielAuthority } from './authority/oriel.ts'
export { listenKeys, type ProxyConfig, proxyConfig, refineProxyConfig, reloadableProxyKeys } from './config.ts'
export { type ServedConsoleType, servedConsoleTypes } from './consoles/kinds.ts'
export { fleetSignals, startFleet, stopDeadlineMs } from './fleet/index.ts'
export { novaConf } from './listen/nova-conf.ts'
export { createProxy, type ProxyDeps, type RunningProxy, startProxy } from './proxy.ts'
export { Refused } from './refused.ts'
export type { SessionRecord, SessionView } from './session/open-session.ts'
export type { Timing } from './timing.ts'
