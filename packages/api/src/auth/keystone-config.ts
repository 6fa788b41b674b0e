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
    username: text("The API's own user. It needs the role service or admin to look tokens up."),
    user_id: text('Instead of username and its domain.'),
    password: Type.Optional(secretString({ description: "The password of the API's own user." })),
    user_domain_name: text('Default: the domain whose id is default.'),
    user_domain_id: text('Instead of user_domain_name.'),
    project_name: text("The project of the API's own user."),
    project_id: text('Instead of project_name and its domain.'),
    project_domain_name: text('Default: the domain whose id is default.'),
    project_domain_id: text('Instead of project_domain_name.'),
    domain_name: text('Instead of a project.'),
    domain_id: text('Instead of a project.'),
    system_scope: Type.Optional(Type.Literal('all', { description: 'Instead of a project.' })),
    application_credential_id: text('Instead of user, password and project.'),
    application_credential_name: text('Instead of its id; needs the user too.'),
    application_credential_secret: Type.Optional(secretString({ description: 'Its secret.' })),
    region_name: text('Allowed because clouds.yaml has it, and ignored.'),
    www_authenticate_uri: Type.Optional(
      webUrl({ ...url, description: 'The URI of Keystone in a 401. Default: auth_url without /v3.' }),
    ),
    cafile: text('PEM file with the CAs that may have signed the certificate. Default: those of Node.'),
    cache_seconds: Type.Integer({
      default: 300,
      minimum: 0,
      maximum: 86_400,
      description: 'How long a validated token is cached, and so how late a revocation may be noticed. 0: no cache.',
    }),
    timeout_ms: Type.Integer({
      default: 5000,
      minimum: 1,
      maximum: 60_000,
      description: 'Deadline of a look-up.',
    }),
    service_token_roles: Type.Array(role(), {
      default: ['service'],
      description: 'With one of these roles in X-Service-Token, an expired user token is accepted.',
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
  [(config) => config.application_credential_id !== undefined || hasUser(config), 'no user: give username or user_id'],
  [
    (config) => !isApplicationCredential(config) || namesCredential(config),
    'no application credential: give application_credential_id or application_credential_name',
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
