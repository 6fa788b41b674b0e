/** The token store over SQL, with the queries for all dialects. */
import { randomUUID } from 'node:crypto'
import { sha256Hex } from '@oriel/runtime'
import { type Kysely, type Selectable, sql } from 'kysely'
import type { ConsoleAuthTokenOptionsRow } from '../database/option-tables.ts'
import { reaching } from '../database/reach.ts'
import type { ConsoleAuthTokenRow, Database } from '../database/tables.ts'
import type { ConsoleAuthToken, ConsoleAuthTokenStore, ConsoleGrant, CreatedToken, TokenOptions } from './store.ts'

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
    authorize: (grant) => reach(authorize(db, grant, now())),
    find: (token) => reach(find(db, token, now())),
    use: (id, user, channelsMs) => reach(use(db, { id, user, channelsMs, now: now() })),
    async release(id) {
      const uses = db.updateTable('console_auth_token_options').set(({ eb }) => ({ uses: eb('uses', '-', 1) }))
      await reach(uses.where('token_key', '=', id).where('uses', '>', 0).execute())
    },
    async revoke(id) {
      const query = db.deleteFrom('console_auth_tokens').where('token_sha256', '=', id)
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

type Db = Kysely<Database>

/** Stores the options first: a token whose options are missing is not found. */
async function authorize(db: Db, grant: ConsoleGrant, now: number): Promise<CreatedToken> {
  const token = randomUUID()
  const options = optionsOf(grant)
  const id = options ? keyWithOptions(token) : sha256Hex(token)
  const row = toRow(id, grant, now)
  if (options)
    await db
      .insertInto('console_auth_token_options')
      .values(toOptionsRow(id, options, row))
      .execute()
  await db.insertInto('console_auth_tokens').values(row).execute()
  return { token, id, expiresAt: row.expires_at }
}

type StoredOptions = Omit<TokenOptions, 'mayInvite'>

/** Returns `undefined` for a grant without options, whose token every version of the API may admit. */
function optionsOf({
  role = 'control',
  label = null,
  singleUse = false,
  invitationId = null,
}: Partial<TokenOptions>): StoredOptions | undefined {
  const hasOptions = role !== 'control' || label !== null || singleUse || invitationId !== null
  return hasOptions ? { role, label, singleUse, invitationId } : undefined
}

/**
 * The key of a token with options. No digest begins like this, so an older API, which would ignore the options, does not find
 * the token. But it deletes the row when it revokes the server's tokens.
 */
const keyWithOptions = (token: string) => OPTIONS_PREFIX + sha256Hex(token).slice(OPTIONS_PREFIX.length)
const OPTIONS_PREFIX = 'options:'

async function find(db: Db, token: string, now: number): Promise<ConsoleAuthToken | undefined> {
  const row = await db
    .selectFrom('console_auth_tokens')
    .leftJoin('console_auth_token_options', 'token_key', 'token_sha256')
    .selectAll('console_auth_tokens')
    .select(['role', 'label', 'single_use', 'invitation_id'])
    .where('token_sha256', 'in', [sha256Hex(token), keyWithOptions(token)])
    .where('console_auth_tokens.expires_at', '>', now)
    .where('created_at', '<=', now + MAX_CLOCK_SKEW_MS)
    .executeTakeFirst()
  if (!row || (row.role === null && row.token_sha256.startsWith(OPTIONS_PREFIX))) return undefined
  return fromRow(row)
}

interface Use {
  readonly id: string
  readonly user: string
  readonly channelsMs: number
  readonly now: number
}

async function use(db: Db, { id, user, channelsMs, now }: Use): Promise<boolean> {
  const token = db.updateTable('console_auth_token_options').where('token_key', '=', id)
  const first = token.set({ uses: 1, used_by: user, used_at: now }).where('uses', '=', 0)
  if ((await first.executeTakeFirst()).numUpdatedRows > 0n) return true
  const channel = token
    .set(({ eb }) => ({ uses: eb('uses', '+', 1) }))
    .where('uses', '>', 0)
    .where('used_by', '=', user)
    .where('used_at', '>', now - channelsMs)
  return (await channel.executeTakeFirst()).numUpdatedRows > 0n
}

async function sweep(db: Db, now: number): Promise<number> {
  const removed = await sweepTable(db, { table: 'console_auth_tokens', key: 'token_sha256', now })
  await sweepTable(db, { table: 'console_auth_token_options', key: 'token_key', now })
  return removed
}

type SweptTable =
  | { readonly table: 'console_auth_tokens'; readonly key: 'token_sha256'; readonly now: number }
  | { readonly table: 'console_auth_token_options'; readonly key: 'token_key'; readonly now: number }

/**
 * Deletes rows by key, in sorted order, since replicas may sweep at the same time. With a condition on the expiry, the
 * database may lock the rows in a different order for each replica, and deadlock.
 */
async function sweepTable(db: Db, { table, key, now }: SweptTable): Promise<number> {
  const column = sql.ref<string>(key)
  let removed = 0
  for (;;) {
    const expired = await db
      .selectFrom(table)
      .select(column.as('id'))
      .where('expires_at', '<=', now)
      .limit(TOKENS_AT_ONCE)
      .execute()
    const ids = expired.map(({ id }) => id).toSorted()
    if (ids.length === 0) return removed
    const query = db.deleteFrom(table).where(column, 'in', ids)
    removed += Number((await query.executeTakeFirst()).numDeletedRows)
  }
}

const reach = reaching('the store of console tokens')

function toRow(id: string, grant: ConsoleGrant, now: number): ConsoleAuthTokenRow {
  return {
    token_sha256: id,
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
    may_invite: grant.mayInvite ? 1 : 0,
  }
}

const toOptionsRow = (
  id: string,
  { role, label, singleUse, invitationId }: StoredOptions,
  { expires_at }: ConsoleAuthTokenRow,
): ConsoleAuthTokenOptionsRow => ({
  ...{ token_key: id, role, label, single_use: singleUse ? 1 : 0, invitation_id: invitationId },
  ...{ uses: 0, used_by: null, used_at: null, expires_at },
})

type OptionColumns = Pick<ConsoleAuthTokenOptionsRow, 'role' | 'label' | 'single_use' | 'invitation_id'>
type FoundRow = Selectable<ConsoleAuthTokenRow> & { [Column in keyof OptionColumns]: OptionColumns[Column] | null }

function fromRow(row: FoundRow): ConsoleAuthToken {
  return {
    id: row.token_sha256,
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
    role: (row.role ?? 'control') as ConsoleAuthToken['role'],
    label: row.label,
    singleUse: row.single_use === 1,
    invitationId: row.invitation_id,
    mayInvite: row.may_invite === 1,
  }
}
