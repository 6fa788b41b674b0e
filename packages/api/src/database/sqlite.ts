/** SQLite for Kysely: Node's built-in `node:sqlite`, on a separate thread. */
import { accessSync, constants, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { failureOf } from './failure.ts'
import { keepPrivate } from './private-files.ts'
import { SqliteThread, type ThreadResult } from './sqlite-thread.ts'
import { SqliteTurns } from './sqlite-turns.ts'
import { atMost, CLOSE_TIMEOUT_MS, type DatabaseTarget } from './target.ts'

/** Parses `sqlite:FILE` or `sqlite::memory:`. Several processes may share a file. */
export function sqliteTarget(name: string): DatabaseTarget {
  const file = name.slice('sqlite:'.length)
  return {
    shown: file,
    dialect: ({ log }) => {
      if (file !== ':memory:') keepPrivate(file, log)
      return new SqliteThreadDialect(file)
    },
    isUnavailable,
    isNew: () => isNew(file),
    remedy: () => 'give a file that this user may write, in a folder that this user may write',
  }
}

/** @throws the system's error if the file's folder cannot be written */
function isNew(file: string): boolean {
  if (file === ':memory:') return true
  if (existsSync(file)) return false
  accessSync(dirname(file), constants.W_OK)
  return true
}

/** Whether retrying may help: another process holds a lock, or the disk is full. */
function isUnavailable(error: unknown): boolean {
  const failure = failureOf(error)
  return failure === 'locked' || failure === 'full'
}

class SqliteThreadDialect implements Dialect {
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  createDriver = () => new ThreadDriver(this.#file)
  createQueryCompiler = () => new SqliteQueryCompiler()
  createAdapter = () => new TransactionalAdapter()
  createIntrospector: Dialect['createIntrospector'] = (db) => new SqliteIntrospector(db)
}

/**
 * Kysely migrates outside of transactions on SQLite, so two programs that start for the first time at once would conflict.
 */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl() {
    return true
  }

  /** {@link SqliteTurns} gives each query and transaction its turn, and must see all that wait. */
  override get supportsMultipleConnections() {
    return true
  }
}

/** Has one thread for all connections. The next query replaces a thread that died. */
class ThreadDriver implements Driver {
  readonly #file: string
  readonly #turns = new SqliteTurns(() => this.#open())
  #thread: SqliteThread | undefined

  constructor(file: string) {
    this.#file = file
  }

  async init(): Promise<void> {
    await this.#open()
  }

  async acquireConnection(): Promise<ThreadConnection> {
    return new ThreadConnection(this.#turns)
  }

  async beginTransaction(connection: ThreadConnection): Promise<void> {
    await connection.begin()
  }

  async commitTransaction(connection: ThreadConnection): Promise<void> {
    await connection.run('commit')
  }

  async rollbackTransaction(connection: ThreadConnection): Promise<void> {
    await connection.run('rollback')
  }

  async releaseConnection(connection: ThreadConnection): Promise<void> {
    connection.release()
  }

  async destroy(): Promise<void> {
    const thread = this.#thread
    if (!thread) return
    await atMost(CLOSE_TIMEOUT_MS, thread.close())
    await thread.terminate()
  }

  async #open(): Promise<SqliteThread> {
    if (this.#thread && !this.#thread.isDead) return this.#thread
    const thread = new SqliteThread(this.#file)
    try {
      await thread.opened
    } catch (error) {
      await thread.terminate()
      throw error
    }
    this.#thread = thread
    return thread
  }
}

class ThreadConnection implements DatabaseConnection {
  readonly #turns: SqliteTurns
  /** Set during a transaction. */
  #leased: SqliteThread | undefined

  constructor(turns: SqliteTurns) {
    this.#turns = turns
  }

  async begin(): Promise<void> {
    this.#leased = await this.#turns.lease()
    // Takes the write lock at once, so that a transaction that waited for another, such as a migration, sees its result.
    await this.#leased.run('begin immediate')
  }

  release(): void {
    if (!this.#leased) return
    this.#leased = undefined
    this.#turns.give()
  }

  run(sql: string, parameters: readonly unknown[] = []): Promise<ThreadResult> {
    return this.#leased ? this.#leased.run(sql, parameters) : this.#turns.query({ sql, parameters })
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const { rows, changes, lastInsertRowid } = await this.run(sql, parameters)
    return {
      rows: rows as Row[],
      ...(changes !== undefined && { numAffectedRows: changes }),
      ...(lastInsertRowid !== undefined && { insertId: lastInsertRowid }),
    }
  }

  // biome-ignore lint/correctness/useYield: the interface requires a generator, but no query here streams
  async *streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new Error('the SQLite driver does not support streaming')
  }
}
