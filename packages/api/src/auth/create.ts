/** Creates the configured authenticator. */
import type { Logger } from '@oriel/runtime'
import type { ApiMetrics } from '../metrics.ts'
import type { Authenticator } from './authenticator.ts'
import type { AuthConfig, AuthMethod } from './config.ts'
import { createJwtAuthenticator } from './jwt.ts'
import { createKeystoneAuthenticator } from './keystone.ts'
import { createNoAuthenticator } from './none.ts'
import { createStaticAuthenticator } from './static.ts'

export interface AuthContext {
  readonly log: Logger
  /** The API's public URL. */
  readonly publicUrl?: string
  readonly metrics?: Pick<ApiMetrics, 'keystone'>
}

type Factory = (config: AuthConfig, context: AuthContext) => Authenticator | Promise<Authenticator>

const factories = {
  none: () => createNoAuthenticator(),
  static: (config, { publicUrl }) => createStaticAuthenticator(config.static ?? { tokens: [] }, publicUrl),
  keystone: ({ keystone }, { metrics }) => createKeystoneAuthenticator(keystone!, { ...(metrics && { metrics }) }),
  jwt: ({ jwt }, { log }) => createJwtAuthenticator(jwt!, { log }),
} as const satisfies Record<AuthMethod, Factory>

/** Creates the authenticator that `config.method` names. */
export async function createAuthenticator(config: AuthConfig, context: AuthContext): Promise<Authenticator> {
  const factory: Factory = factories[config.method]
  return factory(config, context)
}
