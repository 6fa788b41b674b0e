/** The table `tokens`: the store of console auth tokens, and their lifetime. */
import { MAX_TIMER_SECONDS, secretString, table } from '@oriel/runtime'
import * as Type from 'typebox'

export const tokensConfig = table(
  {
    store: secretString({
      default: 'sqlite:oriel.db',
      description: 'sqlite:FILE, sqlite::memory:, postgres://USER:PASSWORD@HOST/DATABASE or mysql://… for MariaDB.',
    }),
    pool_max: Type.Integer({
      ...{ default: 10, minimum: 1, maximum: 1000 },
      description: 'Connections of this replica to a database server.',
    }),
    statement_timeout_ms: Type.Integer({
      ...{ default: 5000, minimum: 100, maximum: 60_000 },
      description: 'How long a database server may take for a statement.',
    }),
    ttl_seconds: Type.Integer({
      ...{ default: 600, minimum: 0, maximum: 31_536_000 },
      description: 'How long a console address may be opened.',
    }),
    max_ttl_seconds: Type.Optional(
      Type.Integer({
        ...{ minimum: 1, maximum: 31_536_000 },
        description: 'The longest lifetime that callers may ask for. Absent: ttl_seconds.',
      }),
    ),
    sweep_seconds: Type.Integer({
      default: 60,
      minimum: 1,
      maximum: MAX_TIMER_SECONDS,
      description: 'How often expired tokens are removed.',
    }),
  },
  { default: {} },
)
export type TokensConfig = Type.Static<typeof tokensConfig>

/** The longest lifetime that callers may ask for. */
export const maxTtlSeconds = ({
  ttl_seconds,
  max_ttl_seconds = ttl_seconds,
}: Pick<TokensConfig, 'ttl_seconds' | 'max_ttl_seconds'>): number => max_ttl_seconds
