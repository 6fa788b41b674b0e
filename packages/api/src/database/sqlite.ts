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
import { SqliteThread } from './sqlite-thread.ts'
import { atMost, CLOSE_TIMEOUT_MS, CONNECT_TIMEOUT_MS, type DatabaseTarget } from './target.ts'

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
}

/** Leases one thread to one query or transaction at a time. The next query replaces a thread that died. */
class ThreadDriver implements Driver {
  readonly #file: string
  readonly #turns = new Turns()
  #thread: SqliteThread | undefined

  constructor(file: string) {
    this.#file = file
  }

  async init(): Promise<void> {
    await this.#open()
  }

  async acquireConnection(): Promise<ThreadConnection> {
    await this.#turns.take(CONNECT_TIMEOUT_MS)
    try {
      return new ThreadConnection(await this.#open())
    } catch (error) {
      this.#turns.give()
      throw error
    }
  }

  async beginTransaction(connection: ThreadConnection): Promise<void> {
    // Takes the write lock at once, so that a transaction that waited for another, such as a migration, sees its result.
    await connection.thread.run('begin immediate')
  }

  async commitTransaction(connection: ThreadConnection): Promise<void> {
    await connection.thread.run('commit')
  }

  async rollbackTransaction(connection: ThreadConnection): Promise<void> {
    await connection.thread.run('rollback')
  }

  async releaseConnection(): Promise<void> {
    this.#turns.give()
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
  readonly thread: SqliteThread

  constructor(thread: SqliteThread) {
    this.thread = thread
  }

  async executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const { rows, changes, lastInsertRowid } = await this.thread.run(sql, parameters)
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

/** A first-in, first-out lock for a resource with one user at a time. */
class Turns {
  readonly #waiting = new Set<() => void>()
  #isTaken = false

  /** Rejects if the turn does not come within `timeoutMs`. */
  take(timeoutMs: number): Promise<void> {
    if (!this.#isTaken) {
      this.#isTaken = true
      return Promise.resolve()
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const start = () => {
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(() => {
      this.#waiting.delete(start)
      reject(Object.assign(new Error('the database was busy for too long'), { code: 'ETIMEDOUT' }))
    }, timeoutMs)
    this.#waiting.add(start)
    return promise
  }

  give(): void {
    const [next] = this.#waiting
    if (!next) {
      this.#isTaken = false
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
