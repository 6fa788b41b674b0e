/**
 * The tables for options of tokens and sessions, and for invitations. Separate tables rather than columns: an older API that runs beside this
 * one still writes the older tables, and it must not find tokens with options. The right to invite is a column, because most consoles have
 * it: a second row would double the cost of creating them.
 */
import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Times are milliseconds since the epoch. */
export interface ConsoleAuthTokenOptionsRow {
  /** The key of the token's row in `console_auth_tokens`. */
  token_key: string
  role: string
  label: string | null
  /** 1 or 0: the databases have no common boolean. */
  single_use: number
  invitation_id: string | null
  /** Sessions that the token opened or is about to open. Sessions that never opened do not count. */
  uses: number
  /** The proxy and client of the first use. */
  used_by: string | null
  used_at: number | null
  expires_at: number
}

/** The options of a session. A session without a row has none: its role is `control`. */
export interface SessionOptionsRow {
  session_id: string
  role: string
  label: string | null
  invitation_id: string | null
  /** The key of the token that the session used up. */
  token_key: string | null
}

export interface InvitationRow {
  id: string
  session_id: string
  /** The first session of the chain of resumed sessions to which `session_id` belongs. */
  family_id: string
  server_id: string
  type: string
  role: string
  label: string | null
  created_by: string
  created_at: number
  expires_at: number
  token_key: string
  /** Null unless a caller has revoked it. */
  revoked_at: number | null
}

export interface OptionTables {
  invitations: InvitationRow
  console_auth_token_options: ConsoleAuthTokenOptionsRow
  session_options: SessionOptionsRow
}

export const optionMigrations: Readonly<Record<string, Migration>> = {
  '006-options': {
    async up(db) {
      await createTokenOptions(db)
      await createSessionOptions(db)
    },
  },
  '007-invitations': {
    async up(db) {
      await db.schema
        .createTable('invitations')
        .addColumn('id', 'varchar(64)', (column) => column.primaryKey())
        .addColumn('session_id', 'varchar(64)', (column) => column.notNull())
        .addColumn('family_id', 'varchar(64)', (column) => column.notNull())
        .addColumn('server_id', 'varchar(255)', (column) => column.notNull())
        .addColumn('type', 'varchar(32)', (column) => column.notNull())
        .addColumn('role', 'varchar(16)', (column) => column.notNull())
        .addColumn('label', 'varchar(64)')
        .addColumn('created_by', 'varchar(255)', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('expires_at', 'bigint', (column) => column.notNull())
        .addColumn('token_key', 'char(64)', (column) => column.notNull())
        .addColumn('revoked_at', 'bigint')
        .execute()
      await db.schema.createIndex('invitations_family').on('invitations').column('family_id').execute()
      await db.schema.createIndex('invitations_expires_at').on('invitations').column('expires_at').execute()
    },
  },
}

/** Later than the migrations of ports. */
export const invitingMigrations: Readonly<Record<string, Migration>> = {
  '011-inviting': {
    async up(db) {
      await addMayInvite(db, 'console_auth_tokens')
      await addMayInvite(db, 'sessions')
    },
  },
}

/** Has a default, because an older API that runs beside this one inserts rows without it. */
async function addMayInvite(db: Kysely<unknown>, table: string): Promise<void> {
  const { supportsTransactionalDdl } = db.getExecutor().adapter
  await db.schema
    .alterTable(table)
    .addColumn('may_invite', 'integer', (column) => {
      const flag = column.notNull().defaultTo(0)
      // MariaDB keeps the column of a migration that failed later, and then has to go on from there.
      return supportsTransactionalDdl ? flag : flag.ifNotExists()
    })
    .execute()
}

async function createTokenOptions(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('console_auth_token_options')
    .addColumn('token_key', 'char(64)', (column) => column.primaryKey())
    .addColumn('role', 'varchar(16)', (column) => column.notNull())
    .addColumn('label', 'varchar(64)')
    .addColumn('single_use', 'integer', (column) => column.notNull())
    .addColumn('invitation_id', 'varchar(64)')
    .addColumn('uses', 'integer', (column) => column.notNull())
    .addColumn('used_by', 'varchar(255)')
    .addColumn('used_at', 'bigint')
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('console_auth_token_options_expires_at')
    .on('console_auth_token_options')
    .column('expires_at')
    .execute()
}

async function createSessionOptions(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('session_options')
    .addColumn('session_id', 'varchar(64)', (column) => column.primaryKey())
    .addColumn('role', 'varchar(16)', (column) => column.notNull())
    .addColumn('label', 'varchar(64)')
    .addColumn('invitation_id', 'varchar(64)')
    .addColumn('token_key', 'char(64)')
    .execute()
  await db.schema.createIndex('session_options_invitation').on('session_options').column('invitation_id').execute()
}
