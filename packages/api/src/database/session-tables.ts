/** The tables of the session store: their rows, and the migration that creates them. */
import type { Migration } from 'kysely/migration'

/** Times are milliseconds since the epoch. No column contains a credential. */
export interface SessionRow {
  id: string
  server_id: string
  server_name: string
  project_id: string
  user_id: string
  protocol: string
  type: string
  client_address: string
  proxy_id: string
  started_at: number
  /** Null while the session is open. */
  ended_at: number | null
  end_reason: string | null
  /** The reason for which the proxy must end the session, once a caller has requested that. */
  end_wanted: string | null
  bytes_to_client: number
  bytes_to_console: number
  /** 1: its page may invite. Rows of an older API have 0. */
  may_invite: number
}

/** A proxy, and the time of its last report. */
export interface ProxyRow {
  proxy_id: string
  last_beat_at: number
}

/**
 * The owner of each proxy's id. A separate table rather than a column of `proxies`: an older API that runs beside this one
 * still writes `proxies`, and MariaDB cannot roll back a half-added column.
 */
export interface ProxyOwnerRow {
  proxy_id: string
  /** A SHA-256 digest in hexadecimal of user and project. */
  owner: string
}

/**
 * The family of a session that resumes another: the first session of the chain. Sessions that resume none have no row. A
 * separate table for the same reasons as {@link ProxyOwnerRow}.
 */
export interface SessionFamilyRow {
  session_id: string
  family_id: string
}

/** A family whose sessions may not be resumed any more, because one of them was ended on purpose. */
export interface EndedFamilyRow {
  family_id: string
}

export interface SessionTables {
  sessions: SessionRow
  proxies: ProxyRow
  proxy_owners: ProxyOwnerRow
  session_families: SessionFamilyRow
  ended_families: EndedFamilyRow
}

export const sessionMigrations: Readonly<Record<string, Migration>> = {
  '002-sessions': {
    async up(db) {
      await db.schema
        .createTable('sessions')
        .addColumn('id', 'varchar(64)', (column) => column.primaryKey())
        .addColumn('server_id', 'varchar(255)', (column) => column.notNull())
        .addColumn('server_name', 'varchar(255)', (column) => column.notNull())
        .addColumn('project_id', 'varchar(255)', (column) => column.notNull())
        .addColumn('user_id', 'varchar(255)', (column) => column.notNull())
        .addColumn('protocol', 'varchar(16)', (column) => column.notNull())
        .addColumn('type', 'varchar(32)', (column) => column.notNull())
        .addColumn('client_address', 'varchar(64)', (column) => column.notNull())
        .addColumn('proxy_id', 'varchar(64)', (column) => column.notNull())
        .addColumn('started_at', 'bigint', (column) => column.notNull())
        .addColumn('ended_at', 'bigint')
        .addColumn('end_reason', 'varchar(32)')
        .addColumn('end_wanted', 'varchar(32)')
        .addColumn('bytes_to_client', 'bigint', (column) => column.notNull())
        .addColumn('bytes_to_console', 'bigint', (column) => column.notNull())
        .execute()
      const index = (name: string, columns: string[]) =>
        db.schema.createIndex(`sessions_${name}`).on('sessions').columns(columns).execute()
      await index('newest', ['started_at', 'id'])
      await index('project', ['project_id', 'started_at'])
      await index('server', ['server_id'])
      await index('proxy', ['proxy_id', 'ended_at'])
      await index('ended_at', ['ended_at'])
      await db.schema
        .createTable('proxies')
        .addColumn('proxy_id', 'varchar(64)', (column) => column.primaryKey())
        .addColumn('last_beat_at', 'bigint', (column) => column.notNull())
        .execute()
    },
  },
  '003-proxy-owners': {
    async up(db) {
      await db.schema
        .createTable('proxy_owners')
        .addColumn('proxy_id', 'varchar(64)', (column) => column.primaryKey())
        .addColumn('owner', 'char(64)', (column) => column.notNull())
        .execute()
    },
  },
}

export const familyMigrations: Readonly<Record<string, Migration>> = {
  '005-session-families': {
    async up(db) {
      await db.schema
        .createTable('session_families')
        .addColumn('session_id', 'varchar(64)', (column) => column.primaryKey())
        .addColumn('family_id', 'varchar(64)', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('ended_families')
        .addColumn('family_id', 'varchar(64)', (column) => column.primaryKey())
        .execute()
      await db.schema.createIndex('session_families_family').on('session_families').columns(['family_id']).execute()
    },
  },
}
