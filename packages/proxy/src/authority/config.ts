/** `[authority]`: how the proxy looks tokens up. */
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

/** Forbids control characters, for which `fetch` throws an error that contains the header's value, a secret. */
const headerValue = { pattern: '^[^\\x00-\\x1f\\x7f]+$', 'x-remedy': 'the token alone, in one line' }
const userKeys = {
  auth_url: webUrl({
    description: "Keystone's URL, with or without /v3. This key and the following are named as in clouds.yaml.",
  }),
  user_id: optionalText("The service user's id, instead of username."),
  username: optionalText("The service user's name. Requires user_domain_id or user_domain_name."),
  user_domain_id: optionalText("The id of the user's domain."),
  user_domain_name: optionalText("The name of the user's domain."),
}
const method = <const M extends string>(name: M) =>
  Type.Literal(name, {
    description:
      'How the proxy authenticates to the authority. With none, listeners on loopback serve only programs and pages of this machine, and hosts in origin.allowed.',
  })
/** The service's own credentials towards the authority, with the keys of `clouds.yaml`. */
const authorityAuth = Type.Union(
  [
    table({ method: method('none') }),
    table({
      method: method('token'),
      token: secretString({ ...headerValue, description: 'The token, sent as X-Auth-Token.' }),
    }),
    table({
      method: method('password'),
      ...userKeys,
      password: secretString({ description: "The service user's password." }),
      project_id: optionalText("The service user's project, by id, instead of project_name."),
      project_name: optionalText('The name of the project. Requires project_domain_id or project_domain_name.'),
      project_domain_id: optionalText("The id of the project's domain."),
      project_domain_name: optionalText("The name of the project's domain."),
    }),
    table({
      method: method('application_credential'),
      ...userKeys,
      application_credential_id: optionalText("The credential's id, instead of application_credential_name."),
      application_credential_name: optionalText("The credential's name. Requires user_id or username."),
      application_credential_secret: secretString({ description: "The credential's secret." }),
    }),
  ],
  { default: { method: 'none' } },
)

/** `[authority]`. */
export const authorityTable = table({
  kind: oneOf(['nova', 'oriel'], {
    default: 'nova',
    description:
      'The API that resolves tokens. nova: GET /os-console-auth-tokens of any Nova; oriel: oriel-api, which also lists and ends sessions.',
  }),
  endpoint: Type.Optional(
    webUrl({
      description:
        "The compute endpoint, such as http://controller:8774/v2.1. Default: the endpoint of the service compute in Keystone's catalogue, which requires auth.method password or application_credential.",
    }),
  ),
  region: optionalText('The region of the endpoint in the catalogue. Default: the first in the catalogue.'),
  interface: Type.Optional(
    oneOf(['public', 'internal', 'admin'], {
      description: 'The interface of the endpoint in the catalogue. Default: public.',
    }),
  ),
  cafile: Type.Optional(
    pem({
      description:
        "The CA of the certificates of the endpoint and of Keystone: PEM, or the name of a file with it. Default: Node's CAs. Certificates are always verified.",
    }),
  ),
  timeout_ms: milliseconds(5000, 'Deadline for one look-up, with its authentication.'),
  validate: Type.Optional(
    oneOf(['fresh', 'state', 'off'], {
      description:
        'With kind nova: how the proxy confirms, before it relays a byte, that a console still belongs to the instance. fresh: it creates a new console of the instance and dials that; state: it checks the state and host of the server. Default: fresh if Nova lets the service user create consoles, else state.',
    }),
  ),
  renew: Type.Boolean({
    default: false,
    description:
      'With kind nova: whether a page that comes back to its console after Nova has forgotten the token gets a new console of the same server, created by the service user. Nova does not check its user again then.',
  }),
  proxy_id: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9._-]{1,64}$',
      description:
        'With kind oriel: the unique id of this proxy at oriel-api. Default: the host name and random digits.',
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
  ...needlessRenew(config),
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
  return [{ path: 'authority.endpoint', message: `missing: ${why}; set it, or authenticate to Keystone` }]
}

function needlessValidate({ kind, validate }: AuthorityConfig): ConfigFault[] {
  if (kind === 'nova' || validate === undefined) return []
  const message = 'has no effect with kind "oriel", because oriel-api validates every session itself: remove it'
  return [{ path: 'authority.validate', message }]
}

function needlessRenew({ kind, renew }: AuthorityConfig): ConfigFault[] {
  if (kind === 'nova' || !renew) return []
  const message = 'has no effect with kind "oriel", because oriel-api resumes sessions without their tokens: remove it'
  return [{ path: 'authority.renew', message }]
}

const unusableCafile = ({ cafile }: AuthorityConfig): readonly ConfigFault[] =>
  cafile === undefined ? [] : caFaults('authority.cafile', cafile)
