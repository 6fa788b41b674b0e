/** Signs in as `openstack` does, or to an endpoint with a token. */
import { type Client, type ClientOptions, createClient, type Fetch, noAuth, staticToken } from '@oriel/sdk'
import { explainedFetch, fromClouds, fromEnvironment, trustingFetch } from '@oriel/sdk/node'
import { textOf, type Values } from '../arguments/options.ts'
import { millisecondsOf } from '../arguments/parse.ts'
import { Failure } from '../failure.ts'

/** A client of the API, and the settings for connections to consoles. */
export interface Cloud {
  readonly client: Client
  /** The `fetch` of the client, which trusts the CAs of its cloud. */
  readonly fetch: Fetch
  /** The deadline for an answer. */
  readonly timeoutMs: number
  /** The PEM file of CAs to trust, from OS_CACERT. */
  readonly caFile: string | undefined
}

type Env = NodeJS.ProcessEnv

/**
 * Returns the cloud of `values` and `env`: `--os-cloud`, else `--endpoint` with its token, else the `OS_*` variables, else
 * clouds.yaml.
 * @throws SettingsError for missing settings, Failure for a token without an endpoint
 */
export function signIn(values: Values, env: Env = process.env): Cloud {
  const timeoutMs = millisecondsOf('timeout', textOf(values, 'timeout'), 30)
  return cloudOf(settingsOf(values, env), timeoutMs, env)
}

/** Returns the cloud of the settings that {@link settingsOf} returned. */
export function cloudOf(settings: ClientOptions, timeoutMs: number, env: Env = process.env): Cloud {
  const client = createClient({ ...settings, timeoutMs, userAgent: 'oriel-cli' })
  return { client, fetch: settings.fetch ?? fetch, timeoutMs, caFile: env.OS_CACERT || undefined }
}

/** Returns the settings of the client for `values` and `env`. @throws as {@link signIn} */
export function settingsOf(values: Values, env: Env): ClientOptions {
  const cloud = textOf(values, 'os-cloud')
  const given = textOf(values, 'endpoint')
  if (cloud !== undefined) return { ...fromClouds({ cloud, env }), ...(given !== undefined && { endpoint: given }) }
  const endpoint = given ?? env.ORIEL_ENDPOINT
  if (endpoint) return atEndpoint(endpoint, textOf(values, 'token') ?? env.ORIEL_TOKEN, env)
  if (values.token !== undefined)
    throw new Failure('usage', '--token needs --endpoint, the address of the compute API.')
  return env.OS_CLOUD || env.OS_AUTH_URL || env.OS_AUTH_TYPE || env.OS_ENDPOINT ? fromEnvironment(env) : fromFile(env)
}

/** Uses no credential for an API that takes none, such as that of the demo. */
function atEndpoint(endpoint: string, token: string | undefined, env: Env): ClientOptions {
  const via = env.OS_CACERT
    ? trustingFetch({ caFile: env.OS_CACERT })
    : (url: string, init: RequestInit) => fetch(url, init)
  return { endpoint, auth: token ? staticToken(token) : noAuth(), fetch: explainedFetch(via) }
}

function fromFile(env: Env): ClientOptions {
  try {
    return fromClouds({ env })
  } catch (cause) {
    const { message } = cause as Error
    throw new Failure('usage', `${message.replace(/\.$/, '')}. ${SIGN_IN}`, { cause })
  }
}

const SIGN_IN = 'Source an openrc file, name a cloud with --os-cloud, or give --endpoint and ORIEL_TOKEN.'
