/** What to do if Keystone does not let the API's own user look tokens up. */
import { AuthUnavailable } from './authenticator.ts'
import { isApplicationCredential, type KeystoneConfig } from './keystone-config.ts'

/** Thrown when Keystone accepts the API's credential but forbids its look-ups. The message has the remedy. */
export class RoleMissing extends AuthUnavailable {
  /** The key of the table `auth.keystone` that names the user. */
  readonly key: 'application_credential_id' | 'application_credential_name' | 'user_id' | 'username'

  constructor(config: KeystoneConfig) {
    super(`Keystone does not let this user look tokens up. Give it the role service: ${remedy(config)}`)
    this.key = keyOf(config)
  }
}

function keyOf(config: KeystoneConfig): RoleMissing['key'] {
  if (config.application_credential_id !== undefined) return 'application_credential_id'
  if (config.application_credential_name !== undefined) return 'application_credential_name'
  return config.user_id === undefined ? 'username' : 'user_id'
}

function remedy(config: KeystoneConfig): string {
  if (isApplicationCredential(config)) return 'then create the application credential again, with that role'
  const user = {
    user: config.user_id ?? config.username,
    'user-domain': config.user_domain_id ?? config.user_domain_name,
  }
  return `openstack role add ${options(user)} ${options(scopeOf(config))} service`
}

/** The scope of the role, as the sign-in of the API requests it. */
function scopeOf(config: KeystoneConfig): Record<string, string | undefined> {
  if (config.system_scope) return { system: 'all' }
  const project = config.project_id ?? config.project_name
  if (project === undefined) return { domain: config.domain_id ?? config.domain_name }
  return { project, 'project-domain': config.project_domain_id ?? config.project_domain_name }
}

const options = (values: Readonly<Record<string, string | undefined>>): string =>
  Object.entries(values)
    .flatMap(([name, value]) => (value === undefined ? [] : [`--${name} ${quoted(value)}`]))
    .join(' ')

/** As a word of a shell. */
const quoted = (value: string) => (/^[\w.@:-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`)
