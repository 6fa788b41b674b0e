/** `fromClouds` and `fromEnvironment`: from files and variables to the options of `createClient`. */
import type { ClientOptions } from '../client.ts'
import { SettingsError } from '../errors.ts'
import { type Cloud, optionsOf } from './cloud.ts'
import { readCloud } from './clouds-file.ts'
import type { Environment } from './folders.ts'
import { TRUST_INSTEAD } from './trusting-fetch.ts'

export interface CloudsOptions {
  /** Which cloud. Default: `OS_CLOUD`, else `openstack`, else the only one that the file has. */
  readonly cloud?: string | undefined
  /**
   * Default: `OS_CLIENT_CONFIG_FILE`, else the first `clouds.yaml` (or `.yml`, `.json`) in the working directory,
   * `~/.config/openstack` and `/etc/openstack`.
   */
  readonly file?: string | undefined
  /** Default: `process.env`. */
  readonly env?: Environment | undefined
}

/**
 * The options of `createClient` for a cloud of `clouds.yaml`. `secure.yaml` and `clouds-public.yaml` beside it, or in the
 * same folders, are merged in; `OS_REGION_NAME` and `OS_INTERFACE` win over the file.
 * @throws SettingsError if there is no such file or cloud, or it asks for what is not supported, such as `verify: false`
 * @example const client = createClient(fromClouds({ cloud: 'prod' }))
 */
export function fromClouds({ cloud, file, env = process.env }: CloudsOptions = {}): ClientOptions {
  const { OS_REGION_NAME: region, OS_INTERFACE: face } = env
  const overrides = { ...(region && { region_name: region }), ...(face && { interface: face }) }
  return optionsOf({ ...readCloud({ cloud, file, env }), ...overrides })
}

/**
 * The options of `createClient` for the `OS_*` variables that an openrc file sets, or for `OS_CLOUD`.
 * @throws SettingsError if they name no cloud, or what is not supported, such as `OS_INSECURE`
 * @example const client = createClient(fromEnvironment())
 */
export function fromEnvironment(env: Environment = process.env): ClientOptions {
  if (insecure(env.OS_INSECURE)) throw new SettingsError(`OS_INSECURE is not supported. ${TRUST_INSTEAD}`)
  return env.OS_CLOUD ? fromClouds({ env }) : optionsOf(variables(env))
}

const insecure = (value = '') => !/^(|0|false|no|off)$/i.test(value.trim())

// `OS_AUTH_URL` is `auth_url`: the variables have the names of the file, in capitals.
function variables(env: Environment): Cloud {
  const given = Object.entries(env).flatMap(([name, value]) =>
    name.startsWith('OS_') && value ? [[name.slice(3).toLowerCase(), value] as const] : [],
  )
  return Object.fromEntries(given)
}
