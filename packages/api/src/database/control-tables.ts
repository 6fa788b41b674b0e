/** The tables of control: which session alone may send input to a console, and which sessions request that. */
import type { Migration } from 'kysely/migration'

/** The control of a console, once a session has taken it or was given it. Times are milliseconds since the epoch. */
export interface ConsoleControlRow {
  server_id: string
  type: string
  /** Counts the moves, so that of two concurrent ones only one succeeds. */
  revision: number
  /** The session that alone has control, while it is open. Null: all whose role is `control`. */
  session_id: string | null
  since: number
  /** The session at another proxy that had control, until that proxy withholds its input. */
  yielding_id: string | null
}

export interface ControlRequestRow {
  session_id: string
  server_id: string
  type: string
  since: number
}

export interface ControlTables {
  console_control: ConsoleControlRow
  control_requests: ControlRequestRow
}

export const controlMigrations: Readonly<Record<string, Migration>> = {
  '012-console-control': {
    async up(db) {
      await db.schema
        .createTable('console_control')
        .addColumn('server_id', 'varchar(255)', (column) => column.notNull())
        .addColumn('type', 'varchar(32)', (column) => column.notNull())
        .addColumn('revision', 'integer', (column) => column.notNull())
        .addColumn('session_id', 'varchar(64)')
        .addColumn('since', 'bigint', (column) => column.notNull())
        .addColumn('yielding_id', 'varchar(64)')
        .addPrimaryKeyConstraint('console_control_console', ['server_id', 'type'])
        .execute()
      await db.schema
        .createTable('control_requests')
        .addColumn('session_id', 'varchar(64)', (column) => column.primaryKey())
        .addColumn('server_id', 'varchar(255)', (column) => column.notNull())
        .addColumn('type', 'varchar(32)', (column) => column.notNull())
        .addColumn('since', 'bigint', (column) => column.notNull())
        .execute()
      await db.schema
        .createIndex('control_requests_console')
        .on('control_requests')
        .columns(['server_id', 'type'])
        .execute()
    },
  },
}
