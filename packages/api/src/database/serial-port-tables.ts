/** The tables of the store of serial ports: their rows, and the migration that creates them. */
import type { Migration } from 'kysely/migration'

/** A proxy that stays attached to serial ports. Its last report is in `proxies`. */
export interface StandingProxyRow {
  proxy_id: string
  /** Equal for processes that share their ports. */
  process_group: string
}

export interface SerialPortTables {
  standing_proxies: StandingProxyRow
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
}
