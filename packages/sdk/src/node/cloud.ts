/** Converts a cloud of `clouds.yaml`, or of `OS_*` variables, to the options of the client. */
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
import { explainedFetch } from './explained-fetch.ts'
import { home } from './folders.ts'
import { TRUST_INSTEAD, trustingFetch } from './trusting-fetch.ts'

/** A cloud with openstacksdk's key names. Other values than text are ignored, except in `auth` and `regions`. Keys in `auth` take precedence over the same keys here. */
export interface Cloud {
  readonly auth?: Cloud
  readonly regions?: readonly (string | { readonly name?: string })[]
  readonly [name: string]: unknown
}

/**
 * Returns the options of `createClient` for `cloud`.
 * @throws SettingsError for missing or unsupported settings
 */
export function optionsOf(cloud: Cloud): ClientOptions {
  if (/^(false|no|off|0)$/i.test(text(cloud, 'verify') ?? '')) {
    throw new SettingsError(`verify: false is not supported. ${TRUST_INSTEAD}`)
  }
  const values = { ...cloud, ...cloud.auth }
  refuseUnsupported(values, Object.keys(cloud.auth ?? {}))
  const shared = { ...transportOf(cloud) }
  const endpoint = text(cloud, 'compute_endpoint_override') ?? text(values, 'endpoint')
  return { ...shared, ...(endpoint && { endpoint }), auth: authOf(values, { ...shared, ...regionAndInterface(cloud) }) }
}

type Values = Readonly<Record<string, unknown>>

/** The keys that `auth` may contain. {@link UNSUPPORTED} refuses some of them. */
const AUTH_KEYS: ReadonlySet<string> = new Set([
  ...['auth_url', 'username', 'user_name', 'user_id', 'password', 'token', 'endpoint', 'trust_id', 'system_scope'],
  ...['user_domain_id', 'user_domain_name', 'project_domain_id', 'project_domain_name'],
  ...['default_domain', 'default_domain_id', 'default_domain_name'],
  ...['project_id', 'project_name', 'tenant_id', 'tenant_name', 'domain_id', 'domain_name'],
  ...['application_credential_id', 'application_credential_name', 'application_credential_secret'],
])

/** Keys that are refused, with the message. `domain_*` is ignored beside another scope, since openrc files set both. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  passcode: 'passcode is not supported: sign in with an application credential instead',
  domain_id: 'domain_id scopes to a domain, which has no consoles: give a project',
  domain_name: 'domain_name scopes to a domain, which has no consoles: give a project',
}

function refuseUnsupported(values: Values, authKeys: readonly string[]): void {
  const unknown = authKeys.find((key) => !AUTH_KEYS.has(key) && !Object.hasOwn(UNSUPPORTED, key))
  if (unknown !== undefined) {
    throw new SettingsError(`auth.${unknown} is not supported; known are ${[...AUTH_KEYS].join(', ')}`)
  }
  const scoped = ['project_id', 'project_name', 'tenant_id', 'tenant_name', 'trust_id', 'system_scope']
  const hasScope = scoped.some((key) => text(values, key) !== undefined)
  const [, message] =
    Object.entries(UNSUPPORTED).find(
      ([key]) => text(values, key) !== undefined && !(hasScope && key.startsWith('domain_')),
    ) ?? []
  if (message !== undefined) throw new SettingsError(message)
  const system = text(values, 'system_scope')
  if (system !== undefined && system !== 'all') throw new SettingsError(`system_scope ${system} is not known: give all`)
}
type Shared = Omit<KeystoneOptions, 'authUrl'>

const kinds = {
  password: (values, shared) => keystonePassword({ ...keystone(values, shared), password: needed(values, 'password') }),
  token: (values, shared) => keystoneToken({ ...keystone(values, shared), token: needed(values, 'token') }),
  applicationcredential: (values, shared) => {
    if (text(values, 'trust_id')) {
      throw new SettingsError('An application credential has its own scope: remove trust_id')
    }
    return applicationCredential({
      ...keystone(values, shared),
      id: text(values, 'application_credential_id'),
      name: text(values, 'application_credential_name'),
      secret: needed(values, 'application_credential_secret'),
    })
  },
  none: () => noAuth(),
  admin_token: (values) => staticToken(needed(values, 'token')),
} as const satisfies Record<string, (values: Values, shared: Shared) => Auth>

function authOf(values: Values, shared: Shared): Auth {
  const given = text(values, 'auth_type') ?? guessed(values)
  const kind = given.replace(/^v3/, '')
  if (Object.hasOwn(kinds, kind)) return kinds[kind as keyof typeof kinds](values, shared)
  throw new SettingsError(`auth_type ${given} is not supported; known are ${Object.keys(kinds).join(', ')}`)
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
  ...domain(values, 'user'),
  projectId: text(values, 'project_id') ?? text(values, 'tenant_id'),
  projectName: text(values, 'project_name') ?? text(values, 'tenant_name'),
  ...domain(values, 'project'),
  trustId: text(values, 'trust_id'),
  ...(text(values, 'system_scope') === 'all' && { systemScope: 'all' as const }),
})

/** The domain of the user or of the project. An explicit one takes precedence over the default for both. */
function domain(values: Values, of: 'user' | 'project') {
  const own = { id: text(values, `${of}_domain_id`), name: text(values, `${of}_domain_name`) }
  const shared = {
    id: text(values, 'default_domain_id') ?? text(values, 'default_domain'),
    name: text(values, 'default_domain_name'),
  }
  const { id, name } = own.id === undefined && own.name === undefined ? shared : own
  return of === 'user' ? { userDomainId: id, userDomainName: name } : { projectDomainId: id, projectDomainName: name }
}

function regionAndInterface(cloud: Cloud): { region?: string; interface?: Interface } {
  const [first] = cloud.regions ?? []
  const region = text(cloud, 'region_name') ?? (typeof first === 'object' ? first.name : first)
  const interfaceName = (text(cloud, 'interface') ?? text(cloud, 'endpoint_type') ?? 'public').replace(/URL$/, '')
  if (!isInterface(interfaceName))
    throw new SettingsError(`interface ${interfaceName} is not known; known are ${interfaces.join(', ')}`)
  return { ...(region && { region }), interface: interfaceName }
}

const interfaces = ['public', 'internal', 'admin'] as const satisfies Interface[]
const isInterface = (interfaceName: string): interfaceName is Interface =>
  (interfaces as readonly string[]).includes(interfaceName)

/** @throws SettingsError if NODE_TLS_REJECT_UNAUTHORIZED is 0, with which Node's `fetch` accepts every certificate */
function transportOf(cloud: Cloud): Pick<ClientOptions, 'fetch' | 'timeoutMs'> {
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED === '0')
    throw new SettingsError(`NODE_TLS_REJECT_UNAUTHORIZED=0 is not supported. ${TRUST_INSTEAD}`)
  const [caFile, certFile, keyFile] = ['cacert', 'cert', 'key'].map((name) => pathOf(cloud, name))
  const timeoutMs = Number(text(cloud, 'api_timeout') ?? Number.NaN) * 1000
  return {
    fetch: explainedFetch(
      caFile || certFile ? trustingFetch({ caFile, certFile, keyFile }) : (url, init) => globalThis.fetch(url, init),
    ),
    ...(timeoutMs > 0 && { timeoutMs }),
  }
}

const pathOf = (cloud: Cloud, name: string) => text(cloud, name)?.replace(/^~(?=\/)/, home(process.env))

function text(values: Values, name: string): string | undefined {
  const value = values[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function needed(values: Values, name: string): string {
  const value = text(values, name)
  if (value === undefined) throw new SettingsError(`${name} is missing (in the environment: OS_${name.toUpperCase()})`)
  return value
}
