/** SQLite, built into Node, for Kysely's own dialect. */
import { accessSync, constants, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { type Dialect, SqliteAdapter, type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely'
import type { StorePlace } from './place.ts'

/** How long a query waits for another process that writes. */
const BUSY_TIMEOUT_MS = 5_000
/** As SQLite calls it: another process holds a lock. */
const SQLITE_BUSY = 5
const BUSY_RETRY_MS = 10
/** Prepared statements that are kept; the store has fewer. */
const MAX_STATEMENTS = 100

/** `sqlite:FILE` or `sqlite::memory:`. */
export function sqlitePlace(name: string): StorePlace {
  const file = name.slice('sqlite:'.length)
  return {
    shown: file,
    dialect: () => sqliteDialect(file),
    isAway: () => false,
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

/**
 * The dialect of the database in `file`, or in memory for `:memory:`. Several processes may share a file.
 * @throws if the file cannot be opened or written.
 */
function sqliteDialect(file: string): Dialect {
  const db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS })
  try {
    writeAhead(db)
    // A token that was answered, or a revocation, must outlive the power too.
    db.exec('PRAGMA synchronous = FULL')
  } catch (error) {
    db.close()
    throw error
  }
  return new TransactionalDialect({ database: adapt(db) })
}

/** Of programs that start at once on a new file one changes its mode; SQLite refuses the others at once, without the timeout. */
function writeAhead(db: DatabaseSync): void {
  const deadline = performance.now() + BUSY_TIMEOUT_MS
  for (;;) {
    try {
      db.exec('PRAGMA journal_mode = WAL')
      return
    } catch (error) {
      if ((error as { errcode?: number }).errcode !== SQLITE_BUSY || performance.now() >= deadline) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_RETRY_MS)
    }
  }
}

/** Kysely migrates outside of transactions on SQLite, so that two programs at their first start get in each other's way. */
class TransactionalDialect extends SqliteDialect {
  override createAdapter() {
    return new TransactionalAdapter()
  }
}

class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl() {
    return true
  }
}

function adapt(db: DatabaseSync): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>()
  return {
    close: () => db.close(),
    prepare(query) {
      // A transaction takes the lock at once: whoever waits for it, such as for a migration, then sees what was done.
      const sql = query === 'begin' ? 'begin immediate' : query
      const found = statements.get(sql) ?? statement(db.prepare(sql))
      if (statements.size < MAX_STATEMENTS) statements.set(sql, found)
      return found
    },
  }
}

function statement(prepared: StatementSync): SqliteStatement {
  const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[]
  return {
    reader: prepared.columns().length > 0,
    all: (parameters) => prepared.all(...values(parameters)),
    run: (parameters) => prepared.run(...values(parameters)),
    iterate: (parameters) => prepared.iterate(...values(parameters)),
  }
}
