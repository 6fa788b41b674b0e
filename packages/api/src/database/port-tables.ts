/** The table of consoles that serve one connection, and of the proxies that hold them. */
import type { Migration } from 'kysely/migration'

/** A console that a proxy holds. Times are milliseconds since the epoch. */
export interface PortHoldRow {
  server_id: string
  type: string
  hold_id: string
  proxy_id: string
  since: number
  /** 1: the proxy holds it without viewers. 0: for its sessions. */
  standing: number
  /** The hold of the proxy that has still to close its connection. Null once the port is free to dial. */
  yielding_id: string | null
  yielding_proxy_id: string | null
}

/** A process of a proxy that shares its ports with the other processes of its group. Absent: it is alone. */
export interface ProxyGroupRow {
  proxy_id: string
  process_group: string
}

export interface PortTables {
  port_holds: PortHoldRow
  proxy_groups: ProxyGroupRow
}

export const portMigrations: Readonly<Record<string, Migration>> = {
  '009-port-holds': {
    async up(db) {
      await db.schema
        .createTable('port_holds')
        .addColumn('server_id', 'varchar(255)', (column) => column.notNull())
        .addColumn('type', 'varchar(32)', (column) => column.notNull())
        .addColumn('hold_id', 'varchar(64)', (column) => column.notNull())
        .addColumn('proxy_id', 'varchar(64)', (column) => column.notNull())
        .addColumn('since', 'bigint', (column) => column.notNull())
        .addColumn('standing', 'integer', (column) => column.notNull())
        .addColumn('yielding_id', 'varchar(64)')
        .addColumn('yielding_proxy_id', 'varchar(64)')
        .addPrimaryKeyConstraint('port_holds_console', ['server_id', 'type'])
        .execute()
      await db.schema.createIndex('port_holds_hold').on('port_holds').column('hold_id').execute()
      await db.schema.createIndex('port_holds_yielding').on('port_holds').column('yielding_proxy_id').execute()
    },
  },
  '010-proxy-groups': {
    async up(db) {
      await db.schema
        .createTable('proxy_groups')
        .addColumn('proxy_id', 'varchar(64)', (column) => column.primaryKey())
        .addColumn('process_group', 'varchar(64)', (column) => column.notNull())
        .execute()
      await db.schema.createIndex('proxy_groups_group').on('proxy_groups').column('process_group').execute()
    },
  },
}
