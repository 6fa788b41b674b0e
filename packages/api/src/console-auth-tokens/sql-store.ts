/** The token store over SQL, with the queries for all dialects. */
import { randomUUID } from 'node:crypto'
import { sha256Hex } from '@oriel/runtime'
import type { Kysely, Selectable } from 'kysely'
import { reaching } from '../database/reach.ts'
import type { ConsoleAuthTokenRow, Database } from '../database/tables.ts'
import type { ConsoleAuthToken, ConsoleAuthTokenStore, ConsoleGrant } from './store.ts'

/**
 * How far the clocks of replicas may differ. A token from further in the future was created before the clock was set back.
 */
const MAX_CLOCK_SKEW_MS = 60_000
/** Tokens in one query, since databases limit the number of parameters. */
const TOKENS_AT_ONCE = 500

/**
 * Creates a store in `db`, whose tables are up to date. Disposing of it closes `db`.
 * @param now in milliseconds since the epoch.
 * @param proveWrites rejects while the database accepts no writes.
 */
export function createSqlStore(
  db: Kysely<Database>,
  now: () => number,
  proveWrites: () => Promise<void>,
): ConsoleAuthTokenStore {
  return {
    async authorize(grant) {
      const token = randomUUID()
      const row = toRow(token, grant, now())
      await reach(db.insertInto('console_auth_tokens').values(row).execute())
      return { token, expiresAt: row.expires_at }
    },
    async find(token) {
      const time = now()
      const row = await reach(
        db
          .selectFrom('console_auth_tokens')
          .selectAll()
          .where('token_sha256', '=', sha256Hex(token))
          .where('expires_at', '>', time)
          .where('created_at', '<=', time + MAX_CLOCK_SKEW_MS)
          .executeTakeFirst(),
      )
      return row && fromRow(row)
    },
    async revoke(token) {
      const query = db.deleteFrom('console_auth_tokens').where('token_sha256', '=', sha256Hex(token))
      return (await reach(query.executeTakeFirst())).numDeletedRows > 0n
    },
    async revokeServer(serverId) {
      const query = db.deleteFrom('console_auth_tokens').where('server_id', '=', serverId)
      return Number((await reach(query.executeTakeFirst())).numDeletedRows)
    },
    sweep: () => reach(sweep(db, now())),
    async check() {
      await reach(db.selectFrom('console_auth_tokens').select('token_sha256').limit(1).execute())
      await reach(proveWrites())
    },
    [Symbol.asyncDispose]: () => db.destroy(),
  }
}

/**
 * Deletes tokens by key, in sorted order, since replicas may sweep at the same time. With a condition on the expiry, the
 * database may lock the rows in a different order for each replica, and deadlock.
 */
async function sweep(db: Kysely<Database>, now: number): Promise<number> {
  let removed = 0
  for (;;) {
    const expired = await db
      .selectFrom('console_auth_tokens')
      .select('token_sha256')
      .where('expires_at', '<=', now)
      .limit(TOKENS_AT_ONCE)
      .execute()
    const tokens = expired.map(({ token_sha256 }) => token_sha256).toSorted()
    if (tokens.length === 0) return removed
    const query = db.deleteFrom('console_auth_tokens').where('token_sha256', 'in', tokens)
    removed += Number((await query.executeTakeFirst()).numDeletedRows)
  }
}

const reach = reaching('the store of console tokens')

function toRow(token: string, grant: ConsoleGrant, now: number): ConsoleAuthTokenRow {
  return {
    token_sha256: sha256Hex(token),
    server_id: grant.serverId,
    project_id: grant.projectId,
    user_id: grant.userId,
    protocol: grant.protocol,
    type: grant.type,
    host: grant.host,
    port: grant.port,
    tls_port: grant.tlsPort ?? null,
    internal_access_path: grant.internalAccessPath ?? null,
    access_url_base: grant.accessUrlBase,
    created_at: now,
    expires_at: now + grant.ttlSeconds * 1000,
  }
}

function fromRow(row: Selectable<ConsoleAuthTokenRow>): ConsoleAuthToken {
  return {
    serverId: row.server_id,
    projectId: row.project_id,
    userId: row.user_id,
    protocol: row.protocol as ConsoleAuthToken['protocol'],
    type: row.type as ConsoleAuthToken['type'],
    host: row.host,
    port: row.port,
    tlsPort: row.tls_port,
    internalAccessPath: row.internal_access_path,
    accessUrlBase: row.access_url_base,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  }
}
