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
export { ApiConfig, type ApiSettings } from './config.ts'
export { refineApiConfig } from './config-refine.ts'
export { openStores, openTokenStore, type StoreOptions, type Stores } from './console-auth-tokens/open.ts'
export {
  type ConsoleAuthToken,
  type ConsoleAuthTokenStore,
  type ConsoleGrant,
  StoreUnavailable,
} from './console-auth-tokens/store.ts'
export { type Listener, type ListenOptions, listen } from './listen.ts'
export { combineSources } from './servers/combine.ts'
export { SourceError, type SourceErrorCode, SourcePartlyUnavailable, SourceUnavailable } from './servers/errors.ts'
export { createLibvirtSource } from './servers/libvirt/source.ts'
export { createQemuSource } from './servers/qemu/source.ts'
export { type Server, type VmState, vmStates } from './servers/server.ts'
export type { CallOptions, ConsoleAddress, ServerChange, Source } from './servers/source.ts'
export { createStaticSource } from './servers/static.ts'
export { createKeeper } from './sessions/keeper.ts'
export { type NewSession, PROXY_LOST, type SessionRecord, type SessionStore } from './sessions/store.ts'
export { type ApiContext, type RunningApi, reloadableApiKeys, startApi } from './start.ts'
