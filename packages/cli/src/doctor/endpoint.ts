/** Finds out which service answers at the endpoint. */
import type { Cloud } from '../cloud/sign-in.ts'
import type { Destination } from './destination.ts'
import type { Passed } from './examination.ts'
import { networkProblem } from './network-problem.ts'
import { Problem, type Remedy } from './problem.ts'
import { get, jsonObject, locationOf, type Reply, titleOf } from './request.ts'

/** The version document of a compute API. */
export interface ComputeApi {
  readonly endpoint: string
  readonly skewMs: number | undefined
}

/** Asks for the version document. @throws Problem that names the service which answers in place of a compute API */
export async function askEndpoint(to: Destination, cloud: Cloud, signal: AbortSignal): Promise<Passed<ComputeApi>> {
  const endpoint = to.url.href.replace(/\/+$/, '')
  const root = versionRoot(endpoint)
  const reply = await asked(`${root}/`, to, cloud, signal)
  const document = versionOf(reply)
  if (document !== undefined) {
    const range = document.version ? `microversions ${document.min_version} to ${document.version}` : 'no microversions'
    return { value: { endpoint, skewMs: reply.skewMs }, detail: `a compute API with ${range} at ${root}` }
  }
  throw await problemOf(reply, root, to, cloud, signal)
}

/** Cuts an endpoint after `/v2.1`: in older catalogues the project's id follows. */
const versionRoot = (endpoint: string): string => /^.*\/v2\.1(?=\/|$)/.exec(endpoint)?.[0] ?? endpoint

async function asked(url: string, to: Destination, cloud: Cloud, signal: AbortSignal): Promise<Reply> {
  try {
    return await get(url, cloud, signal)
  } catch (error) {
    signal.throwIfAborted()
    throw networkProblem(error, to)
  }
}

interface Version {
  readonly id?: unknown
  readonly min_version?: unknown
  readonly version?: unknown
}

function versionOf({ status, text }: Reply): Version | undefined {
  const { version } = (jsonObject(text) ?? {}) as { readonly version?: Version }
  return status === 200 && /^v2/.test(String(version?.id)) && version?.min_version !== undefined ? version : undefined
}

async function problemOf(reply: Reply, root: string, to: Destination, cloud: Cloud, signal: AbortSignal) {
  const { origin } = to.url
  const { status } = reply
  const fix = (remedy: string): Remedy => ({ side: to.addressSide ?? to.side, remedy: `${remedy} in ${to.setting}.` })
  const location = status >= 300 && status < 400 ? locationOf(reply.headers, root) : undefined
  if (isVersionList(reply)) return new Problem(`${root} lists versions of the compute API`, fix(`Write ${root}/v2.1`))
  if (isKeystone(reply)) return new Problem(`${root} is Keystone, the identity service`, fix(CATALOG))
  if (location !== undefined) return new Problem(`${root} redirects to ${location}`, fix('Write that address'))
  if (status >= 502 && status <= 504)
    return new Problem(`${origin} answers ${status}: no compute API is behind it`, BACKEND)
  const settings = await proxySettings(origin, cloud, signal)
  if (settings === undefined) return unknownService(reply, root, fix)
  const why = `${origin} is oriel-proxy, which serves consoles, not the compute API`
  return new Problem(why, fix(`Write ${apiAddress(settings.api_url, origin)}`))
}

const CATALOG = 'Write the address that `openstack catalog show nova` prints'
const BACKEND: Remedy = {
  side: 'load balancer',
  remedy: 'Start the compute API, and check the backend and the health check of the load balancer.',
}

/** The proxy knows the address of the API for its home page, without the version. */
function apiAddress(apiUrl: unknown, origin: string): string {
  if (typeof apiUrl !== 'string' || !URL.canParse(apiUrl, origin))
    return 'the address of the API, such as http://HOST:8774/v2.1,'
  return `${versionRoot(new URL(apiUrl, `${origin}/`).href).replace(/(\/v2\.1)?\/*$/, '')}/v2.1`
}

function unknownService({ status, text }: Reply, root: string, fix: (remedy: string) => Remedy): Problem {
  const title = titleOf(text)
  const kind = jsonObject(text) !== undefined ? 'JSON of another service' : title ? `a page ${title}` : 'no JSON'
  return new Problem(
    `${root} answers ${status} with ${kind}`,
    fix('Write the address of the compute API, such as http://HOST:8774/v2.1,'),
  )
}

/** Nova lists its versions at `/`, and answers 300 with `choices` for other paths outside them. */
function isVersionList({ text }: Reply): boolean {
  const { versions, choices } = jsonObject(text) ?? {}
  const list = Array.isArray(versions) ? versions : Array.isArray(choices) ? choices : []
  return (list as Version[]).some(({ id }) => id === 'v2.1')
}

function isKeystone({ text }: Reply): boolean {
  const { versions, version } = jsonObject(text) ?? {}
  return (versions instanceof Object && 'values' in versions) || /^v3/.test(String((version as Version)?.id))
}

/** Returns the settings of the home page of oriel-proxy, or `undefined` at any other server. */
async function proxySettings(origin: string, cloud: Cloud, signal: AbortSignal) {
  const reply = await get(`${origin}/oriel.json`, cloud, signal).catch(() => undefined)
  const settings = reply?.status === 200 ? jsonObject(reply.text) : undefined
  return settings !== undefined && 'api_url' in settings && 'consoles' in settings ? settings : undefined
}
