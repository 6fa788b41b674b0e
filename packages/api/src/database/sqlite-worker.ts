/**
 * The thread of an SQLite database: opens it, and runs statements one after another. `node:sqlite` waits synchronously for the
 * disk and for locks of other processes. Started by `sqlite-thread.ts`. Must not import from the workspace, since the
 * programs ship this file unbundled.
 */
import { realpathSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { ThreadData, ThreadReply, ThreadRequest, ThreadResult } from './sqlite-thread.ts'

/** How long a statement waits for another process that writes. */
const BUSY_TIMEOUT_MS = 5_000
/** SQLite's code: another process holds a lock. */
const SQLITE_BUSY = 5
const BUSY_RETRY_MS = 10
/** SQLite's code for a database file that was moved. In write-ahead mode SQLite itself does not check for that. */
const SQLITE_READONLY_DBMOVED = 1032
/** The files that SQLite keeps open: the database, its write-ahead log and the log's index. */
const SUFFIXES = ['', '-wal', '-shm']
/** The size of the cache of prepared statements. The stores have fewer. */
const MAX_STATEMENTS = 100

const port = parentPort!
const nothing: ThreadResult = { rows: [] }
const statements = new Map<string, StatementSync>()
/** Device and inode of each open file, by path. */
const openFiles = new Map<string, string>()
let paths: readonly string[] = []
let db: DatabaseSync | undefined
port.on('message', (request: ThreadRequest) => port.postMessage(reply(request)))
port.postMessage(guarded(0, open))

function reply({ id, sql, parameters }: ThreadRequest): ThreadReply {
  if (sql === undefined) return guarded(id, close)
  return guarded(id, () => run(db!, sql, parameters as readonly SQLInputValue[]))
}

/** Copies the codes, which errors lose when they are sent between threads. */
function guarded(id: number, work: () => ThreadResult): ThreadReply {
  try {
    return { id, result: work() }
  } catch (error) {
    const { message, code, errcode } = error as Error & { code?: unknown; errcode?: unknown }
    return { id, error: { message, code, errcode } }
  }
}

function open(): ThreadResult {
  const { file } = workerData as ThreadData
  const opened = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS })
  try {
    writeAhead(opened)
    // A token that a client has, or a revocation, must survive a power failure.
    opened.exec('PRAGMA synchronous = FULL')
  } catch (error) {
    opened.close()
    throw error
  }
  // SQLite resolves symbolic links before it derives the names of its other files.
  if (file !== ':memory:') paths = [resolve(file), ...SUFFIXES.map((suffix) => `${realpathSync(file)}${suffix}`)]
  requireSameFiles()
  db = opened
  return nothing
}

/**
 * Requires that the database's files are still those that were opened: data written to a deleted file is lost when the
 * process ends, and other processes see the file that replaced it. SQLite creates its other files when it first needs
 * them, so each is checked once it was seen.
 * @throws an error with SQLite's code for a database that was moved
 */
function requireSameFiles(): void {
  for (const path of paths) {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
    const identity = stats && `${stats.dev}:${stats.ino}`
    const known = openFiles.get(path) ?? identity
    if (known !== undefined) openFiles.set(path, known)
    if (known === identity) continue
    const what = identity === undefined ? 'was deleted' : 'was replaced by another file'
    const code = { code: 'ERR_SQLITE_ERROR', errcode: SQLITE_READONLY_DBMOVED }
    throw Object.assign(new Error(`${path} ${what} while the database was open`), code)
  }
}

function close(): ThreadResult {
  db?.close()
  return nothing
}

/** Retries, because when programs start together on a new file, SQLite fails all but one at once instead of waiting. */
function writeAhead(opened: DatabaseSync): void {
  const deadline = performance.now() + BUSY_TIMEOUT_MS
  for (;;) {
    try {
      opened.exec('PRAGMA journal_mode = WAL')
      return
    } catch (error) {
      if ((error as { errcode?: number }).errcode !== SQLITE_BUSY || performance.now() >= deadline) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_RETRY_MS)
    }
  }
}

function run(opened: DatabaseSync, sql: string, parameters: readonly SQLInputValue[]): ThreadResult {
  // An open transaction must still be able to roll back.
  if (sql !== 'rollback') requireSameFiles()
  const statement = statements.get(sql) ?? opened.prepare(sql)
  if (statements.size < MAX_STATEMENTS) statements.set(sql, statement)
  if (statement.columns().length > 0) return { rows: statement.all(...parameters) }
  const { changes, lastInsertRowid } = statement.run(...parameters)
  return { rows: [], changes: BigInt(changes), lastInsertRowid: BigInt(lastInsertRowid) }
}
