/** The table `auth.keystone`: Keystone's address and our credential. The keys have the names of those in clouds.yaml. */
import { secretString, webUrl } from '@oriel/runtime'
import * as Type from 'typebox'
import { role } from '../policy/role.ts'

const text = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))

const url = {
  pattern: '^[hH][tT][tT][pP][sS]?://[^\\s"?#@]+$',
  'x-remedy': 'the URL of Keystone, such as https://keystone.example/v3',
}

export const KeystoneConfig = Type.Object(
  {
    auth_url: webUrl({ ...url, description: 'Keystone, with or without /v3.' }),
    username: text('Our own user: it needs the role service or admin, so that Keystone lets it look tokens up.'),
    user_id: text('Instead of username and its domain.'),
    password: Type.Optional(secretString({ description: "Our user's password." })),
    user_domain_name: text('Default: the domain whose id is default.'),
    user_domain_id: text('Instead of user_domain_name.'),
    project_name: text('The project that our user works in.'),
    project_id: text('Instead of project_name and its domain.'),
    project_domain_name: text('Default: the domain whose id is default.'),
    project_domain_id: text('Instead of project_domain_name.'),
    domain_name: text('Instead of a project.'),
    domain_id: text('Instead of a project.'),
    system_scope: Type.Optional(Type.Literal('all', { description: 'Instead of a project.' })),
    application_credential_id: text('Instead of user, password and project.'),
    application_credential_name: text('Instead of its id; needs the user too.'),
    application_credential_secret: Type.Optional(secretString({ description: 'Its secret.' })),
    region_name: text('Taken from clouds.yaml as it stands; nothing depends on it.'),
    www_authenticate_uri: Type.Optional(
      webUrl({ ...url, description: 'What a 401 tells clients. Default: auth_url without /v3.' }),
    ),
    cafile: text('PEM file with the CAs that may have signed the certificate. Default: those of Node.'),
    cache_seconds: Type.Integer({
      default: 300,
      minimum: 0,
      maximum: 86_400,
      description: 'How long an answer is believed, so how late a revocation may be noticed. 0: ask each time.',
    }),
    timeout_ms: Type.Integer({
      default: 5000,
      minimum: 1,
      maximum: 60_000,
      description: 'For one look-up as a whole.',
    }),
    service_token_roles: Type.Array(role(), {
      default: ['service'],
      description: 'With one of these roles in X-Service-Token, an expired user token still counts.',
    }),
  },
  { additionalProperties: false },
)

export type KeystoneConfig = Type.Static<typeof KeystoneConfig>

/** Checks of the credential as a whole, so that one that cannot work is reported at the start. */
const rules: readonly [(config: KeystoneConfig) => boolean, string][] = [
  [
    (config) => isApplicationCredential(config) || config.password !== undefined,
    'no credential: give username and password, or application_credential_id and application_credential_secret',
  ],
  [
    (config) => !(isApplicationCredential(config) && config.password !== undefined),
    'two credentials: give password or application_credential_secret, not both',
  ],
  [
    (config) => config.application_credential_id !== undefined || hasUser(config),
    'who is it? Give username or user_id',
  ],
  [
    (config) => !isApplicationCredential(config) || namesCredential(config),
    'which one? Give application_credential_id, or application_credential_name',
  ],
  [
    (config) => isApplicationCredential(config) || scopes(config) === 1,
    'no scope, or several: give one of project_name, project_id, domain_name, domain_id, system_scope',
  ],
  [
    (config) => !isApplicationCredential(config) || scopes(config) === 0,
    'an application credential has its project already: remove project, domain and system_scope',
  ],
]

/**
 * Returns the faults of the credential. Call it only if Keystone is the method, since the table may be present but unused.
 */
export const keystoneFaults = (config: KeystoneConfig): readonly string[] =>
  rules.filter(([holds]) => !holds(config)).map(([, message]) => message)

/** Whether the credential is an application credential, and not a password. */
export function isApplicationCredential(config: KeystoneConfig): boolean {
  return config.application_credential_secret !== undefined
}

function namesCredential(config: KeystoneConfig): boolean {
  return config.application_credential_id !== undefined || config.application_credential_name !== undefined
}

function hasUser(config: KeystoneConfig): boolean {
  return config.user_id !== undefined || config.username !== undefined
}

function scopes(config: KeystoneConfig): number {
  const project = config.project_id ?? config.project_name
  const domain = config.domain_id ?? config.domain_name
  return [project, domain, config.system_scope].filter((scope) => scope !== undefined).length
}
