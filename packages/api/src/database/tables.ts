/**
 * The tables of the API and their migrations. Add a migration for each change, and never edit an older one. A migration on
 * whose tables the version before cannot work has a name that ends with `-breaking`.
 */
import {
  type CreateIndexNode,
  type CreateTableNode,
  type Kysely,
  type KyselyPlugin,
  OperationNodeTransformer,
  type QueryId,
  RawNode,
} from 'kysely'
import { DEFAULT_MIGRATION_TABLE, type Migration, Migrator } from 'kysely/migration'
import { type ControlTables, controlMigrations } from './control-tables.ts'
import { invitingMigrations, type OptionTables, optionMigrations } from './option-tables.ts'
import { type PortTables, portMigrations } from './port-tables.ts'
import { type SerialPortTables, serialPortMigrations } from './serial-port-tables.ts'
import { familyMigrations, type SessionTables, sessionMigrations } from './session-tables.ts'

/** Times are milliseconds since the epoch. */
export interface ConsoleAuthTokenRow {
  /**
   * The token's SHA-256 digest in hexadecimal. The token itself is not stored. The key of a token with options is not a
   * digest, so that an older API never finds it.
   */
  token_sha256: string
  server_id: string
  project_id: string
  user_id: string
  protocol: string
  type: string
  host: string
  port: number | null
  tls_port: number | null
  internal_access_path: string | null
  access_url_base: string
  created_at: number
  expires_at: number
  /** 1: the page of its session may invite. Rows of an older API have 0. */
  may_invite: number
}

/** A row that a replica writes to prove that the database accepts writes. */
export interface WriteProbeRow {
  id: string
  written_at: number
}

export interface Database extends SessionTables, OptionTables, SerialPortTables, PortTables, ControlTables {
  console_auth_tokens: ConsoleAuthTokenRow
  write_probes: WriteProbeRow
}

const migrations: Readonly<Record<string, Migration>> = {
  '001-console-auth-tokens': {
    async up(db) {
      await db.schema
        .createTable('console_auth_tokens')
        .addColumn('token_sha256', 'char(64)', (column) => column.primaryKey())
        .addColumn('server_id', 'varchar(255)', (column) => column.notNull())
        .addColumn('project_id', 'varchar(255)', (column) => column.notNull())
        .addColumn('user_id', 'varchar(255)', (column) => column.notNull())
        .addColumn('protocol', 'varchar(16)', (column) => column.notNull())
        .addColumn('type', 'varchar(32)', (column) => column.notNull())
        .addColumn('host', 'varchar(255)', (column) => column.notNull())
        .addColumn('port', 'integer')
        .addColumn('tls_port', 'integer')
        .addColumn('internal_access_path', 'varchar(255)')
        .addColumn('access_url_base', 'text', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('expires_at', 'bigint', (column) => column.notNull())
        .execute()
      await index(db, 'server_id')
      await index(db, 'expires_at')
    },
  },
  ...sessionMigrations,
  '004-write-probes': {
    async up(db) {
      await db.schema
        .createTable('write_probes')
        .addColumn('id', 'varchar(64)', (column) => column.primaryKey())
        .addColumn('written_at', 'bigint', (column) => column.notNull())
        .execute()
    },
  },
  ...familyMigrations,
  ...optionMigrations,
  ...serialPortMigrations,
  ...portMigrations,
  ...invitingMigrations,
  ...controlMigrations,
}

/** Thrown when a newer version of the API has migrated the tables in a way that this version does not support. */
export class NewerDatabase extends Error {
  override readonly name = 'NewerDatabase'

  constructor() {
    super('a newer oriel-api wrote this database; start that version, or use an empty database')
  }
}

const BREAKING = /-breaking$/

/**
 * Returns the migrations of newer versions, on whose tables this version works, as it does when it keeps running while
 * another replica is upgraded.
 * @throws NewerDatabase if one of them is breaking, or if they were applied without one of this version
 */
export async function newerMigrations(db: Kysely<Database>): Promise<readonly string[]> {
  const applied = await appliedMigrations(db)
  const newer = applied.filter((name) => !Object.hasOwn(migrations, name))
  const lacksOwn = Object.keys(migrations).some((name) => !applied.includes(name))
  if (newer.some((name) => BREAKING.test(name)) || (newer.length > 0 && lacksOwn)) throw new NewerDatabase()
  return newer
}

async function appliedMigrations(db: Kysely<Database>): Promise<readonly string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(({ name }) => name === DEFAULT_MIGRATION_TABLE)) return []
  const rows = await db
    .withTables<{ [DEFAULT_MIGRATION_TABLE]: { name: string } }>()
    .selectFrom(DEFAULT_MIGRATION_TABLE)
    .select('name')
    .execute()
    .catch(noneIfElsewhere)
  return rows.map(({ name }) => name)
}

/** Ignores other schemas: PostgreSQL lists their tables as well, and another program may keep its migrations there. */
function noneIfElsewhere(error: unknown): [] {
  if ((error as { code?: unknown }).code === UNDEFINED_TABLE) return []
  throw error
}

const UNDEFINED_TABLE = '42P01'

/**
 * Migrates the tables, and returns the migrations of newer versions. Replicas that start at the same time wait for each other.
 * @param tableOptions the options at the end of each `create table`
 * @throws NewerDatabase, or the first migration's error.
 */
export async function migrate(db: Kysely<Database>, tableOptions?: string): Promise<readonly string[]> {
  const newer = await newerMigrations(db)
  if (newer.length > 0) return newer
  const repeatable = db.withPlugin(new RepeatableDefinitions(tableOptions))
  const migrator = new Migrator({ db: repeatable, provider: { getMigrations: async () => ({ ...migrations }) } })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
  return []
}

/**
 * Adds `if not exists` to the definitions in migrations. Where transactions do not cover definitions (MariaDB), a program that
 * is killed leaves half a migration behind, and the next start must be able to finish it.
 */
class RepeatableDefinitions extends OperationNodeTransformer implements KyselyPlugin {
  readonly #endModifiers: readonly RawNode[]

  constructor(tableOptions?: string) {
    super()
    this.#endModifiers = tableOptions === undefined ? [] : [RawNode.createWithSql(tableOptions)]
  }

  transformQuery: KyselyPlugin['transformQuery'] = ({ node, queryId }) => this.transformNode(node, queryId)
  transformResult: KyselyPlugin['transformResult'] = async ({ result }) => result

  protected override transformCreateTable(node: CreateTableNode, queryId?: QueryId): CreateTableNode {
    const { endModifiers = [], ...rest } = super.transformCreateTable(node, queryId)
    return { ...rest, ifNotExists: true, endModifiers: [...endModifiers, ...this.#endModifiers] }
  }

  protected override transformCreateIndex(node: CreateIndexNode, queryId?: QueryId): CreateIndexNode {
    return { ...super.transformCreateIndex(node, queryId), ifNotExists: true }
  }
}

function index(db: Kysely<unknown>, column: string): Promise<void> {
  const name = `console_auth_tokens_${column}`
  return db.schema.createIndex(name).on('console_auth_tokens').column(column).execute()
}
