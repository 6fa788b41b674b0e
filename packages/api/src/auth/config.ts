/** The table `auth`: how callers are authenticated. The settings of a method `x` are in the table `auth.x`. */
import { sha256Digest, table } from '@oriel/runtime'
import * as Type from 'typebox'
import { role } from '../policy/role.ts'
import { JwtConfig } from './jwt-config.ts'
import { KeystoneConfig } from './keystone-config.ts'

export const staticAuthConfig = table({
  tokens: Type.Array(
    table({
      sha256: sha256Digest({ description: "The token's SHA-256 digest." }),
      user_id: Type.String({ minLength: 1, description: "The token's user, for logs and audit." }),
      project_id: Type.Optional(
        Type.String({
          minLength: 1,
          description: 'Absent: a token without a project, which only the role service can use.',
        }),
      ),
      roles: Type.Array(role(), { description: 'admin, member, reader, service.' }),
    }),
    { description: 'Tokens that callers may send.' },
  ),
  www_authenticate_uri: Type.Optional(
    Type.String({
      pattern: '^[hH][tT][tT][pP][sS]?://[^\\s"]+$',
      description: 'The URI in a 401 where clients get a token. Default: public_url, else the address listened on.',
      'x-remedy': 'a URL, such as https://portal.example/tokens',
    }),
  ),
})
export type StaticAuthConfig = Type.Static<typeof staticAuthConfig>

const tables = table({
  method: Type.Union([Type.Literal('none'), Type.Literal('static'), Type.Literal('keystone'), Type.Literal('jwt')], {
    description:
      'none treats every caller as an administrator: the API binds to loopback only, and serves only programs and pages of this machine. Each other method needs the table of its name.',
  }),
  static: Type.Optional(staticAuthConfig),
  keystone: Type.Optional(KeystoneConfig),
  jwt: Type.Optional(JwtConfig),
})

/** Every method needs a literal here, a factory in `auth/create.ts` and, if it has settings, an optional table here. */
export const authConfig: typeof tables = Type.Refine(
  tables,
  ({ method, keystone, jwt }) =>
    (method !== 'keystone' || keystone !== undefined) && (method !== 'jwt' || jwt !== undefined),
  ({ method }) => `method ${method} needs its settings, give the table auth.${method}`,
)
export type AuthConfig = Type.Static<typeof tables>
export type AuthMethod = AuthConfig['method']
