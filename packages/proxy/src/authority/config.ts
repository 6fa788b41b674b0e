/** `[authority]`: how the proxy looks tokens up, and faults between keys, each of which is valid by itself. */
import {
  type ConfigFault,
  caFaults,
  milliseconds,
  oneOf,
  optionalText,
  pem,
  secretString,
  table,
  webUrl,
} from '@oriel/runtime'
import * as Type from 'typebox'
import type { HypervisorConfig, IdentitySetting } from '../hypervisor/config.ts'

/** `fetch` throws at a control character, with the header's value in its message. */
const headerValue = { pattern: '^[^\\x00-\\x1f\\x7f]+$', 'x-remedy': 'the token alone, in one line' }
const userKeys = {
  auth_url: webUrl({ description: 'Keystone v3, with or without /v3. This and the next keys as in clouds.yaml.' }),
  user_id: optionalText('The service user by id, instead of username.'),
  username: optionalText('The service user by name; give its domain too.'),
  user_domain_id: optionalText("The user's domain."),
  user_domain_name: optionalText("The user's domain, by name."),
}
const method = <const M extends string>(name: M) =>
  Type.Literal(name, {
    description:
      'How the proxy signs in at the authority. With none, listeners on loopback serve only programs and pages of this machine, and hosts in origin.allowed.',
  })
/** The service's own credentials towards the authority, with the keys of `clouds.yaml`. */
const authorityAuth = Type.Union(
  [
    table({ method: method('none') }),
    table({ method: method('token'), token: secretString({ ...headerValue, description: 'Sent as X-Auth-Token.' }) }),
    table({
      method: method('password'),
      ...userKeys,
      password: secretString({ description: "The service user's password." }),
      project_id: optionalText('The project to sign in to, by id, instead of project_name.'),
      project_name: optionalText('The project by name; give its domain too.'),
      project_domain_id: optionalText("The project's domain."),
      project_domain_name: optionalText("The project's domain, by name."),
    }),
    table({
      method: method('application_credential'),
      ...userKeys,
      application_credential_id: optionalText('The credential by id, instead of application_credential_name.'),
      application_credential_name: optionalText('The credential by name; give its user too.'),
      application_credential_secret: secretString({ description: 'Its secret.' }),
    }),
  ],
  { default: { method: 'none' } },
)

/** `[authority]`. */
export const authorityTable = table({
  kind: oneOf(['nova', 'oriel'], {
    default: 'nova',
    description:
      'Who says what a token means: GET /os-console-auth-tokens of any Nova, or the fuller exchange with oriel-api.',
  }),
  endpoint: Type.Optional(
    webUrl({
      description:
        "The compute endpoint, such as http://controller:8774/v2.1. Without it the proxy takes the one of the service compute in Keystone's catalogue, which takes auth.method password or application_credential.",
    }),
  ),
  region: optionalText('Whose endpoint is taken from the catalogue. Default: the first that the catalogue names.'),
  interface: Type.Optional(
    oneOf(['public', 'internal', 'admin'], {
      description: 'Which of its addresses is taken from the catalogue. Default: public.',
    }),
  ),
  cafile: Type.Optional(
    pem({
      description:
        'Who may have signed the certificates of the endpoint and of Keystone: PEM, or the name of a file with it. Default: those whom Node knows. Certificates are always checked.',
    }),
  ),
  timeout_ms: milliseconds(5000, 'Deadline of one look-up.'),
  validate: Type.Optional(
    oneOf(['fresh', 'state', 'off'], {
      description:
        'With kind nova: how the proxy confirms, before it relays a byte, that a console still belongs to the instance. fresh: it creates a new console of the instance and dials that; state: it checks the state and host of the server. Default: fresh if Nova lets the service user create consoles, else state.',
    }),
  ),
  proxy_id: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9._-]{1,64}$',
      description:
        'By which oriel-api knows this proxy, with kind oriel; no two may have the same. Default: the host name and random digits.',
      'x-remedy': 'letters, digits, dots, dashes and underscores, at most 64',
    }),
  ),
  auth: authorityAuth,
})

export type AuthorityConfig = Type.Static<typeof authorityTable>

/** The parts of the configuration that an authority is created from. */
export interface AuthorityParts {
  readonly authority: AuthorityConfig
  readonly hypervisor: HypervisorConfig
}

/**
 * The setting of `hypervisor.identity` in force. With kind nova the default is `enforce`, since Nova's own proxies check
 * the instance as well; oriel-api looks the console up itself, and may know a server by a name that its guest does not show.
 */
export const identityOf = ({ authority, hypervisor }: AuthorityParts): IdentitySetting =>
  hypervisor.identity ?? (authority.kind === 'nova' ? 'enforce' : 'warn')

export const authorityFaults = (config: AuthorityConfig): ConfigFault[] => [
  ...wrongEndpoint(config),
  ...unusableCafile(config),
  ...needlessValidate(config),
]

/** Requires an endpoint: either the key, or a choice from the catalogue that Keystone returns at sign-in. */
function wrongEndpoint({ endpoint, region, interface: endpointInterface, auth }: AuthorityConfig): ConfigFault[] {
  if (endpoint !== undefined) {
    const choices = Object.entries({ region, interface: endpointInterface }).filter(([, value]) => value !== undefined)
    const message =
      'selects an endpoint from the catalogue, but authority.endpoint is given as well; remove one of them'
    return choices.map(([key]) => ({ path: `authority.${key}`, message }))
  }
  if (auth.method !== 'none' && auth.method !== 'token') return []
  const why = `authority.auth.method "${auth.method}" has no catalogue to find it in`
  return [{ path: 'authority.endpoint', message: `missing, ${why}; give it, or sign in at Keystone` }]
}

function needlessValidate({ kind, validate }: AuthorityConfig): ConfigFault[] {
  if (kind === 'nova' || validate === undefined) return []
  const message = 'is for kind "nova"; oriel-api itself looks for the console again before each session, leave it out'
  return [{ path: 'authority.validate', message }]
}

const unusableCafile = ({ cafile }: AuthorityConfig): readonly ConfigFault[] =>
  cafile === undefined ? [] : caFaults('authority.cafile', cafile)
