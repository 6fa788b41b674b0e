/** Checks of the API's configuration that concern several keys. */
import {
  type ConfigFault,
  caFaults,
  certificateFaults,
  isLoopback,
  originProblem,
  parseListen,
  readingFailure,
  readTextFile,
  sharedAddresses,
} from '@oriel/runtime'
import { keystoneFaults } from './auth/keystone-config.ts'
import { type ApiConfig, apiListenKeys } from './config.ts'
import { storeNameFault } from './database/open.ts'
import { roleWarnings } from './policy/role-warnings.ts'
import { reachFaults } from './sources/guests/reach.ts'
import { serverFaults } from './sources/static/faults.ts'

/** Returns every fault that concerns several keys, or the meaning of one. */
export function refineApiConfig(config: ApiConfig): readonly ConfigFault[] {
  return [
    ...authFaults(config),
    ...tlsFaults(config),
    ...urlFaults(config),
    ...originFaults(config),
    ...storeFaults(config),
    ...lifetimeFaults(config),
    ...sourceFaults(config),
    ...serverFaults(staticServers(config)),
    ...roleWarnings(config),
    ...sharedAddresses(apiListenKeys(config)),
  ]
}

function* authFaults({ auth, listen }: ApiConfig): Iterable<ConfigFault> {
  if (auth.method === 'static' && auth.static === undefined) {
    yield { path: 'auth.static', message: 'missing, list the tokens as [[auth.static.tokens]]' }
  }
  if (auth.method === 'keystone' && auth.keystone !== undefined) {
    for (const message of keystoneFaults(auth.keystone)) yield { path: 'auth.keystone', message }
  }
  if (auth.method === 'keystone') yield* cafileFaults('auth.keystone.cafile', auth.keystone?.cafile)
  if (auth.method === 'jwt') yield* cafileFaults('auth.jwt.cafile', auth.jwt?.cafile)
  if (auth.method === 'none' && !isLoopback(parseListen(listen).host)) {
    const message = `binds to ${listen}, but auth.method = "none" treats every caller as an administrator; listen on 127.0.0.1 or choose another method`
    yield { path: 'listen', message }
  }
}

/** Reads the file here, so that an unreadable file is reported as a fault and not as a stack trace at the start. */
function cafileFaults(path: string, file: string | undefined): readonly ConfigFault[] {
  if (file === undefined) return []
  try {
    return caFaults(path, readTextFile(file))
  } catch (error) {
    const message = `cannot read ${JSON.stringify(file.slice(0, 120))} (${readingFailure(error)}), give a PEM file that this user may read`
    return [{ path, message }]
  }
}

function* tlsFaults({ tls, public_url: publicUrl }: ApiConfig): Iterable<ConfigFault> {
  if (!tls) return
  yield* certificateFaults('tls', tls)
  if (URL.parse(publicUrl ?? '')?.protocol !== 'http:') return
  const message = `${JSON.stringify(publicUrl)} begins with http://, but the API serves https: links would lead to plain HTTP; write https://, unless a load balancer accepts plain HTTP there`
  yield { path: 'public_url', message, severity: 'warning' }
}

function* urlFaults({ public_url: publicUrl, consoles }: ApiConfig): Iterable<ConfigFault> {
  if (publicUrl !== undefined && !isUrl(publicUrl, ['http:', 'https:'])) {
    yield { path: 'public_url', message: `${JSON.stringify(publicUrl)} is not an http or https URL` }
  } else if (/\/v2(\.1)?\/*$/.test(publicUrl ?? '')) {
    const message = `${JSON.stringify(publicUrl)} ends with the version, which links get twice then; leave it out`
    yield { path: 'public_url', message, severity: 'warning' }
  }
  for (const [type, { base_url: baseUrl }] of Object.entries(consoles)) {
    const schemes = schemesOf(type)
    if (isUrl(baseUrl, schemes)) continue
    const message = `${JSON.stringify(baseUrl)} cannot be opened, give a URL that starts with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`
    yield { path: `consoles.${type}.base_url`, message }
  }
}

/** Clients of serial consoles dial the WebSocket; all other consoles are pages in a browser. */
const schemesOf = (type: string) => (type === 'serial' ? ['ws:', 'wss:', 'http:', 'https:'] : ['http:', 'https:'])

function* originFaults({ cors }: ApiConfig): Iterable<ConfigFault> {
  for (const [index, origin] of cors.allowed_origins.entries()) {
    if (URL.parse(origin)?.origin === origin) continue
    const message = `${JSON.stringify(origin)} ${originProblem(origin)}`
    yield { path: `cors.allowed_origins[${index}]`, message }
  }
}

function* storeFaults({ tokens }: ApiConfig): Iterable<ConfigFault> {
  const message = storeNameFault(tokens.store)
  if (message !== undefined) yield { path: 'tokens.store', message }
}

function* lifetimeFaults({ tokens }: ApiConfig): Iterable<ConfigFault> {
  const { ttl_seconds: ttl, max_ttl_seconds: max = ttl } = tokens
  if (max >= ttl) return
  yield { path: 'tokens.max_ttl_seconds', message: `${max} is less than tokens.ttl_seconds, give at least ${ttl}` }
}

function* sourceFaults({ sources }: ApiConfig): Iterable<ConfigFault> {
  for (const [index, source] of sources.entries()) {
    if (source.kind !== 'static') {
      for (const { key, message } of reachFaults(source)) yield { path: `sources[${index}].${key}`, message }
    }
    if (source.kind !== 'static' || source.file !== undefined || source.servers.length > 0) continue
    yield {
      path: `sources[${index}]`,
      message: 'has no servers, list them as [[sources.servers]] or name a file of them',
    }
  }
}

function staticServers({ sources }: ApiConfig) {
  return sources.flatMap((source, i) =>
    source.kind === 'static'
      ? source.servers.map((server, j) => ({ path: `sources[${i}].servers[${j}]`, server }))
      : [],
  )
}

const isUrl = (text: string, protocols: readonly string[]) => protocols.includes(URL.parse(text)?.protocol ?? '')
