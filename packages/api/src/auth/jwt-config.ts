/** The table `auth.jwt`: the issuer, the audience, and the claims with user, project and roles. */
import { MAX_TIMER_SECONDS, webUrl } from '@oriel/runtime'
import * as Type from 'typebox'

/** Asymmetric signature algorithms. Shared secrets (HS…) and `none` cannot be configured. */
const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const

/** HTTPS is required except on loopback: an attacker who can tamper with the key set can issue tokens. */
export const keyUrlPattern =
  '^(?:https://[^\\s"]+|http://(?:localhost|127(?:\\.\\d{1,3}){3}|\\[::1\\])(?::\\d+)?(?:/[^\\s"]*)?)$'
const url = { pattern: keyUrlPattern, 'x-remedy': 'an https URL (http only on loopback), such as https://id.example' }
const claim = (defaultClaim: string, description: string) =>
  Type.String({ default: defaultClaim, minLength: 1, description })

const keys = Type.Object(
  {
    issuer: Type.String({ minLength: 1, description: 'The exact value of the claim iss.' }),
    audience: Type.String({ minLength: 1, description: 'The value that the claim aud must equal or contain.' }),
    jwks_url: Type.Optional(
      webUrl({ ...url, description: "The issuer's public keys. Default: as its OpenID configuration says." }),
    ),
    algorithms: Type.Array(Type.Enum([...algorithms]), {
      default: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      minItems: 1,
      description: 'Accepted signature algorithms.',
    }),
    clock_skew_seconds: Type.Integer({
      default: 30,
      minimum: 0,
      maximum: 600,
      description: 'Tolerance for exp, nbf and iat.',
    }),
    user_claim: claim('sub', 'The claim with the user id.'),
    project_claim: claim('project_id', 'The claim with the project; a token without it has no project.'),
    roles_claim: claim(
      'roles',
      'The claim with the roles: a list, or names separated by blanks. realm_access.roles means roles in realm_access.',
    ),
    keys_cooldown_seconds: Type.Integer({
      default: 30,
      minimum: 0,
      maximum: MAX_TIMER_SECONDS,
      description: 'Shortest time between two fetches of the keys because of an unknown key.',
    }),
    keys_cache_seconds: Type.Integer({
      default: 600,
      minimum: 1,
      maximum: MAX_TIMER_SECONDS,
      description: 'How long fetched keys are cached.',
    }),
    timeout_ms: Type.Integer({
      default: 5000,
      minimum: 1,
      maximum: 60_000,
      description: 'Deadline of fetching the keys.',
    }),
    cafile: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'PEM file with the CAs that may have signed the certificate. Default: those of Node.',
      }),
    ),
  },
  { additionalProperties: false },
)
/** Without `jwks_url`, discovery finds the keys, for which the issuer must be a URL. */
export const JwtConfig: typeof keys = Type.Refine(
  keys,
  ({ jwks_url, issuer }) => jwks_url !== undefined || (new RegExp(keyUrlPattern).test(issuer) && URL.canParse(issuer)),
  () => 'the issuer is not an https URL (http only on loopback), so give jwks_url',
)
export type JwtConfig = Type.Static<typeof keys>
