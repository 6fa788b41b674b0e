/** Oriel's API: Nova's Server Consoles API over ports for servers, console auth tokens and authentication. */
export { type ApiDeps, createApi } from './app.ts'
export {
  type AuthenticationRequest,
  type Authenticator,
  AuthUnavailable,
  type Identity,
  Unauthenticated,
} from './auth/authenticator.ts'
export { createNoAuthenticator } from './auth/none.ts'
export { createStaticAuthenticator } from './auth/static.ts'
export { checkApiOnline } from './check-online.ts'
export { ApiConfig, type ApiSettings, apiHealthListener, apiListenKeys } from './config.ts'
export { refineApiConfig } from './config-refine.ts'
export type {
  ConsoleAuthToken,
  ConsoleAuthTokenStore,
  ConsoleGrant,
  TokenOptions,
} from './console-auth-tokens/store.ts'
export type { StoreOptions } from './database/open.ts'
export { StoreUnavailable } from './database/unavailable.ts'
export { type Listener, type ListenOptions, listen } from './listen.ts'
export { type ApiMetrics, createApiMetrics } from './metrics.ts'
export type { SerialPortStore, SerialView, StandingProxy } from './serial-ports/store.ts'
export type { ConsoleControl, ControlMove, ControlStore } from './sessions/control-store.ts'
export type { Invitation, InvitationStore } from './sessions/invitation-store.ts'
export { createKeeper } from './sessions/keeper.ts'
export type { PortHolder, PortState, PortStore } from './sessions/port-store.ts'
export { type NewSession, PROXY_LOST, RESUMABLE_MS, type SessionRecord, type SessionStore } from './sessions/store.ts'
export { combineSources } from './sources/combine.ts'
export { SourceError, type SourceErrorCode, SourcePartlyUnavailable, SourceUnavailable } from './sources/errors.ts'
export { createLibvirtSource } from './sources/libvirt/source.ts'
export { createQemuSource } from './sources/qemu/source.ts'
export { type Server, type VmState, vmStates } from './sources/server.ts'
export type { CallOptions, ConsoleAddress, SerialPort, ServerChange, Source } from './sources/source.ts'
export { createStaticSource } from './sources/static/static.ts'
export { type ApiContext, type RunningApi, reloadableApiKeys, startApi } from './start.ts'
export { openStores, openTokenStore, type Stores } from './stores.ts'
