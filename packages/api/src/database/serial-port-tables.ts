/** The tables of the store of serial ports: their rows, and the migration that creates them. */
import { type Kysely, MysqlAdapter, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** A proxy that stays attached to serial ports. Its last report is in `proxies`. */
export interface StandingProxyRow {
  proxy_id: string
  /** Equal for processes that share their ports. */
  process_group: string
}

/** A question for the output of a serial port, which the proxy that holds it answers. Kept for seconds. */
export interface SerialLogRow {
  server_id: string
  /** Names the question. */
  ask_id: string
  asked_at: number
  /** The output in base64. Null: there is no answer yet. */
  log: string | null
}

export interface SerialPortTables {
  standing_proxies: StandingProxyRow
  serial_logs: SerialLogRow
}

export const serialPortMigrations: Readonly<Record<string, Migration>> = {
  '008-standing-proxies': {
    async up(db) {
      await db.schema
        .createTable('standing_proxies')
        .addColumn('proxy_id', 'varchar(64)', (column) => column.primaryKey())
        .addColumn('process_group', 'varchar(64)', (column) => column.notNull())
        .execute()
    },
  },
  '010-serial-logs': {
    async up(db) {
      await db.schema
        .createTable('serial_logs')
        .addColumn('server_id', 'varchar(255)', (column) => column.primaryKey())
        .addColumn('ask_id', 'varchar(64)', (column) => column.notNull())
        .addColumn('asked_at', 'bigint', (column) => column.notNull())
        .addColumn('log', longText(db))
        .execute()
    },
  },
}

/** MariaDB's `text` has at most 64 KiB. */
const longText = (db: Kysely<unknown>) => (db.getExecutor().adapter instanceof MysqlAdapter ? sql`mediumtext` : 'text')
