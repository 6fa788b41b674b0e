/** The configuration of `oriel`: one file with the tables `[api]` and `[proxy]`, and checks across both tables. */
import {
  ApiConfig,
  apiHealthListener,
  apiListenKeys,
  checkApiOnline,
  type RunningApi,
  refineApiConfig,
} from '@oriel/api'
import { authorityOnlineFaults, listenKeys, type ProxyConfig, proxyConfig, refineProxyConfig } from '@oriel/proxy'
import { type ConfigFault, type HealthListener, type ListenKey, type Secret, sharedAddresses } from '@oriel/runtime'
import * as Type from 'typebox'
import { consolesWithoutDefaults, followListeners, originsOf } from './console-addresses.ts'

const { consoles: _, ...apiTables } = ApiConfig.properties
const { authority, ...proxyTables } = proxyConfig.properties

export const OrielConfig = Type.Object(
  {
    /** A console without a `base_url` gets the address of a listener of the `[proxy]` table. */
    api: Type.Object({ ...apiTables, consoles: consolesWithoutDefaults }, { additionalProperties: false }),
    /** Without an authority, the proxy uses the API of this process, with a credential that only this process knows. */
    proxy: Type.Object({ ...proxyTables, authority: Type.Optional(authority) }, { additionalProperties: false }),
  },
  { additionalProperties: false },
)
export type OrielConfig = Type.Static<typeof OrielConfig>

/** Checks both tables. The paths of the faults include the table, such as `proxy.listen`. */
export function refineOrielConfig({ api, proxy }: OrielConfig): readonly ConfigFault[] {
  const whole = { ...proxy, authority: proxy.authority ?? authorityAt(`http://${api.listen}`) }
  const followed = { ...api, consoles: followListeners(api.consoles, proxy.listen) }
  return [
    ...under('api', refineApiConfig(followed)),
    ...under('proxy', [...refineProxyConfig(whole), ...workers(proxy)]),
    ...besideApi(api, whole),
  ]
}

/** Connects to the store, to the identity service, and to the authority unless it is the API of this process. */
export async function checkOrielOnline(config: OrielConfig, signal: AbortSignal): Promise<readonly ConfigFault[]> {
  const { authority, ...proxy } = config.proxy
  const [api, others] = await Promise.all([
    checkApiOnline(apiPart(config, []), signal),
    authority ? authorityOnlineFaults({ ...proxy, authority }, signal) : [],
  ])
  return [...under('api', api), ...under('proxy', others)]
}

/** Returns a fault for each listener of the proxy that has an address of the API. */
function besideApi(api: OrielConfig['api'], proxy: ProxyConfig): ConfigFault[] {
  return proxyKeys(proxy).flatMap((key) => apiKeys(api).flatMap((taken) => sharedAddresses([taken, key])))
}

/** Returns every key that has a listen address. */
export const orielListenKeys = ({ api, proxy }: OrielConfig): readonly ListenKey[] => [
  ...apiKeys(api),
  ...proxyKeys(proxy),
]

/** The process has one admin listener or two; without one, `--health` asks the API. */
export function orielHealthListener({ api, proxy }: OrielConfig): HealthListener {
  if (proxy.admin) return { path: 'proxy.admin.listen', address: proxy.admin.listen }
  const { path, address } = apiHealthListener(api)
  return { path: `api.${path}`, address }
}

const apiKeys = (api: OrielConfig['api']) =>
  apiListenKeys(api).map(({ path, address }) => ({ path: `api.${path}`, address }))

const proxyKeys = (proxy: Parameters<typeof listenKeys>[0]) =>
  listenKeys(proxy).map(({ path, address }) => ({ path: `proxy.${path}`, address }))

function workers({ sessions }: Pick<ProxyConfig, 'sessions'>): ConfigFault[] {
  if (sessions.workers === 1) return []
  return [{ path: 'sessions.workers', message: 'oriel is one process, run oriel-api and oriel-proxy for more' }]
}

/** Configures the API of this process as the proxy's authority. */
export const authorityAt = (origin: string, token?: Secret): ProxyConfig['authority'] => ({
  kind: 'oriel',
  endpoint: origin,
  timeout_ms: 5000,
  renew: false,
  auth: token ? { method: 'token', token } : { method: 'none' },
})

/** Returns the API's configuration, which also allows requests (CORS) from the home pages of the proxy's listeners. */
export function apiPart({ api, proxy }: OrielConfig, more: ApiConfig['sources']): ApiConfig {
  const consoles = followListeners(api.consoles, proxy.listen)
  const origins = [new URL(consoles.novnc.base_url).origin, ...proxy.listen.flatMap(originsOf)]
  return {
    ...api,
    consoles,
    sources: [...api.sources, ...more],
    cors: { ...api.cors, allowed_origins: [...new Set([...api.cors.allowed_origins, ...origins])] },
  }
}

/** Returns the proxy's configuration. Its authority and its home page default to the running API. */
export function proxyPart(
  { api, proxy }: OrielConfig,
  { origin, internalOrigin }: Pick<RunningApi, 'origin' | 'internalOrigin'>,
  token: Secret,
): ProxyConfig {
  return {
    ...proxy,
    authority: proxy.authority ?? authorityAt(internalOrigin, token),
    home: { api_url: api.public_url ?? origin, ...proxy.home },
  }
}

/**
 * Whether the proxy's authority requires no credentials; without its own table, the authority is the API of this
 * process.
 */
export const isUnauthenticated = ({ api, proxy }: OrielConfig): boolean =>
  (proxy.authority?.auth ?? api.auth).method === 'none'

const under = (table: string, faults: readonly ConfigFault[]) =>
  faults.map((fault) => ({ ...fault, path: `${table}.${fault.path}` }))
