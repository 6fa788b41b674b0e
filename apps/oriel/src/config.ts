/** One file for both: an `[api]` and a `[proxy]` table, each as in a file of its own, and what follows from their being together. */
import { ApiConfig, checkApiOnline, refineApiConfig } from '@oriel/api'
import { authorityOnlineFaults, listenKeys, type ProxyConfig, proxyConfig, refineProxyConfig } from '@oriel/proxy'
import { type ConfigFault, type ListenKey, type Secret, sharedAddresses } from '@oriel/runtime'
import * as Type from 'typebox'
import { followingConsoles, followListeners, originsOf } from './follow.ts'

const { consoles: _, ...apiTables } = ApiConfig.properties
const { authority, ...proxyTables } = proxyConfig.properties

export const OrielConfig = Type.Object(
  {
    /** A console without a `base_url` is opened at the listener of the proxy beside it. */
    api: Type.Object({ ...apiTables, consoles: followingConsoles }, { additionalProperties: false }),
    /** Without an authority, the proxy asks the api beside it, with a credential that exists only in this process. */
    proxy: Type.Object({ ...proxyTables, authority: Type.Optional(authority) }, { additionalProperties: false }),
  },
  { additionalProperties: false },
)
export type OrielConfig = Type.Static<typeof OrielConfig>

/** Checks both tables; paths are those of the one file. */
export function refineOrielConfig({ api, proxy }: OrielConfig): readonly ConfigFault[] {
  const whole = { ...proxy, authority: proxy.authority ?? authorityAt(`http://${api.listen}`) }
  const followed = { ...api, consoles: followListeners(api.consoles, proxy.listen) }
  return [
    ...under('api', refineApiConfig(followed)),
    ...under('proxy', [...refineProxyConfig(whole), ...workers(proxy)]),
    ...besideApi(api.listen, whole),
  ]
}

/** Reaches the store, the identity service, and an authority other than the api of this process. */
export async function checkOrielOnline(config: OrielConfig, signal: AbortSignal): Promise<readonly ConfigFault[]> {
  const { authority, ...proxy } = config.proxy
  const [api, others] = await Promise.all([
    checkApiOnline(apiPart(config, []), signal),
    authority ? authorityOnlineFaults({ ...proxy, authority }, signal) : [],
  ])
  return [...under('api', api), ...under('proxy', others)]
}

/** Listeners of the proxy where the api listens already. */
function besideApi(address: string, proxy: ProxyConfig): ConfigFault[] {
  return proxyKeys(proxy).flatMap((key) => sharedAddresses([{ path: 'api.listen', address }, key]))
}

/** Every key with a listen address. */
export const orielListenKeys = ({ api, proxy }: OrielConfig): readonly ListenKey[] => [
  { path: 'api.listen', address: api.listen },
  ...proxyKeys(proxy),
]

const proxyKeys = (proxy: Parameters<typeof listenKeys>[0]) =>
  listenKeys(proxy).map(({ path, address }) => ({ path: `proxy.${path}`, address }))

function workers({ sessions }: Pick<ProxyConfig, 'sessions'>): ConfigFault[] {
  if (sessions.workers === 1) return []
  return [{ path: 'sessions.workers', message: 'oriel is one process, run oriel-api and oriel-proxy for more' }]
}

/** The api of the same process as the proxy's authority. */
export const authorityAt = (origin: string, token?: Secret): ProxyConfig['authority'] => ({
  kind: 'oriel',
  endpoint: origin,
  timeout_ms: 5000,
  auth: token ? { method: 'token', token } : { method: 'none' },
})

/** The api's table, with what a home page at the proxy needs: the api answers calls from the pages of `config.proxy`. */
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

/** The proxy's table, with the api at `origin` behind it and on its home page, unless the table says otherwise. */
export function proxyPart({ api, proxy }: OrielConfig, origin: string, token: Secret): ProxyConfig {
  return {
    ...proxy,
    authority: proxy.authority ?? authorityAt(origin, token),
    home: { api_url: api.public_url ?? origin, ...proxy.home },
  }
}

/** Whether the proxy's authority requires no credentials; without its own table, the authority is the API of this process. */
export const isUnauthenticated = ({ api, proxy }: OrielConfig): boolean =>
  (proxy.authority?.auth ?? api.auth).method === 'none'

const under = (table: string, faults: readonly ConfigFault[]) =>
  faults.map((fault) => ({ ...fault, path: `${table}.${fault.path}` }))
