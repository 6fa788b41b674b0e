/** One cloud, as `clouds.yaml` and the `OS_*` variables describe it, and the client options that it means. */
import { type Auth, noAuth, staticToken } from '../auth.ts'
import type { ClientOptions } from '../client.ts'
import { SettingsError } from '../errors.ts'
import {
  applicationCredential,
  type Interface,
  type KeystoneOptions,
  keystonePassword,
  keystoneToken,
} from '../keystone.ts'
import { home } from './folders.ts'
import { TRUST_INSTEAD, trustingFetch } from './trusting-fetch.ts'

/** The wire names of openstacksdk. Every value is text; `auth` may hold the same names, and wins. */
export interface Cloud {
  readonly auth?: Cloud
  readonly regions?: readonly (string | { readonly name?: string })[]
  readonly [name: string]: unknown
}

/**
 * The options of `createClient` that `cloud` means.
 * @throws SettingsError for what is missing or not supported
 */
export function optionsOf(cloud: Cloud): ClientOptions {
  if (/^(false|no|off|0)$/i.test(text(cloud, 'verify') ?? '')) {
    throw new SettingsError(`verify: false is not supported. ${TRUST_INSTEAD}`)
  }
  const values = { ...cloud, ...cloud.auth }
  const shared = { ...transportOf(cloud) }
  const endpoint = text(cloud, 'compute_endpoint_override') ?? text(values, 'endpoint')
  return { ...shared, ...(endpoint && { endpoint }), auth: authOf(values, { ...shared, ...placeOf(cloud) }) }
}

type Values = Readonly<Record<string, unknown>>
type Shared = Omit<KeystoneOptions, 'authUrl'>

const kinds = {
  password: (values, shared) => keystonePassword({ ...keystone(values, shared), password: needed(values, 'password') }),
  token: (values, shared) => keystoneToken({ ...keystone(values, shared), token: needed(values, 'token') }),
  applicationcredential: (values, shared) =>
    applicationCredential({
      ...keystone(values, shared),
      id: text(values, 'application_credential_id'),
      name: text(values, 'application_credential_name'),
      secret: needed(values, 'application_credential_secret'),
    }),
  none: () => noAuth(),
  admin_token: (values) => staticToken(needed(values, 'token')),
} as const satisfies Record<string, (values: Values, shared: Shared) => Auth>

function authOf(values: Values, shared: Shared): Auth {
  const kind = (text(values, 'auth_type') ?? guessed(values)).replace(/^v3/, '')
  if (Object.hasOwn(kinds, kind)) return kinds[kind as keyof typeof kinds](values, shared)
  throw new SettingsError(`auth_type ${kind} is not supported; known are ${Object.keys(kinds).join(', ')}`)
}

function guessed(values: Values): string {
  if (text(values, 'application_credential_secret')) return 'applicationcredential'
  return text(values, 'token') ? 'token' : 'password'
}

const keystone = (values: Values, shared: Shared) => ({
  ...shared,
  authUrl: needed(values, 'auth_url'),
  username: text(values, 'username') ?? text(values, 'user_name'),
  userId: text(values, 'user_id'),
  userDomainId: text(values, 'user_domain_id') ?? text(values, 'default_domain'),
  userDomainName: text(values, 'user_domain_name'),
  projectId: text(values, 'project_id') ?? text(values, 'tenant_id'),
  projectName: text(values, 'project_name') ?? text(values, 'tenant_name'),
  projectDomainId: text(values, 'project_domain_id') ?? text(values, 'default_domain'),
  projectDomainName: text(values, 'project_domain_name'),
  ...(text(values, 'system_scope') === 'all' && { systemScope: 'all' as const }),
})

function placeOf(cloud: Cloud): { region?: string; interface?: Interface } {
  const [first] = cloud.regions ?? []
  const region = text(cloud, 'region_name') ?? (typeof first === 'object' ? first.name : first)
  const face = (text(cloud, 'interface') ?? text(cloud, 'endpoint_type') ?? 'public').replace(/URL$/, '')
  if (!isInterface(face)) throw new SettingsError(`interface ${face} is not known; known are ${interfaces.join(', ')}`)
  return { ...(region && { region }), interface: face }
}

const interfaces = ['public', 'internal', 'admin'] as const satisfies Interface[]
const isInterface = (face: string): face is Interface => (interfaces as readonly string[]).includes(face)

function transportOf(cloud: Cloud): Pick<ClientOptions, 'fetch' | 'timeoutMs'> {
  const [caFile, certFile, keyFile] = ['cacert', 'cert', 'key'].map((name) => file(cloud, name))
  const timeoutMs = Number(text(cloud, 'api_timeout') ?? Number.NaN) * 1000
  return {
    ...((caFile || certFile) && { fetch: trustingFetch({ caFile, certFile, keyFile }) }),
    ...(timeoutMs > 0 && { timeoutMs }),
  }
}

const file = (cloud: Cloud, name: string) => text(cloud, name)?.replace(/^~(?=\/)/, home(process.env))

function text(values: Values, name: string): string | undefined {
  const value = values[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function needed(values: Values, name: string): string {
  const value = text(values, name)
  if (value === undefined) throw new SettingsError(`${name} is missing (in the environment: OS_${name.toUpperCase()})`)
  return value
}
