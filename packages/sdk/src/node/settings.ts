/** `fromClouds` and `fromEnvironment`, which read the options of `createClient` from files and variables. */
import type { ClientOptions } from '../client.ts'
import { SettingsError } from '../errors.ts'
import { type Cloud, optionsOf } from './cloud.ts'
import { readCloud } from './clouds-file.ts'
import type { Environment } from './folders.ts'
import { TRUST_INSTEAD } from './trusting-fetch.ts'

export interface CloudsOptions {
  /** The cloud's name. Default: `OS_CLOUD`, else `openstack`, else the only cloud in the file. */
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
 * Returns the options of `createClient` for a cloud of `clouds.yaml`. Merges `secure.yaml` and `clouds-public.yaml` from its
 * folder, or from the default ones. `OS_REGION_NAME` and `OS_INTERFACE` override the file.
 * @throws SettingsError if the file or cloud does not exist, or for unsupported settings, such as `verify: false`
 * @example const client = createClient(fromClouds({ cloud: 'prod' }))
 */
export function fromClouds({ cloud, file, env = process.env }: CloudsOptions = {}): ClientOptions {
  const { OS_REGION_NAME: region, OS_INTERFACE: interfaceName } = env
  const overrides = { ...(region && { region_name: region }), ...(interfaceName && { interface: interfaceName }) }
  return optionsOf({ ...readCloud({ cloud, file, env }), ...overrides })
}

/**
 * Returns the options of `createClient` for the `OS_*` variables of an openrc file, or for `OS_CLOUD`.
 * @throws SettingsError if they name no cloud, or for unsupported settings, such as `OS_INSECURE`
 * @example const client = createClient(fromEnvironment())
 */
export function fromEnvironment(env: Environment = process.env): ClientOptions {
  if (insecure(env.OS_INSECURE)) throw new SettingsError(`OS_INSECURE is not supported. ${TRUST_INSTEAD}`)
  return env.OS_CLOUD ? fromClouds({ env }) : optionsOf(variables(env))
}

const insecure = (value = '') => !/^(|0|false|no|off)$/i.test(value.trim())

// The variables have the names of the file's keys in upper case: `OS_AUTH_URL` is `auth_url`.
function variables(env: Environment): Cloud {
  const given = Object.entries(env).flatMap(([name, value]) =>
    name.startsWith('OS_') && value ? [[name.slice(3).toLowerCase(), value] as const] : [],
  )
  return Object.fromEntries(given)
}
