/**
 * The thread of an SQLite database: opens it, and runs statements one after another. `node:sqlite` waits synchronously for the
 * disk and for locks of other processes. Started by `sqlite-thread.ts`. Must not import from the workspace, since the
 * programs ship this file unbundled.
 */
import { realpathSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { Outcome, Statement, ThreadData, ThreadReply, ThreadRequest, ThreadResult } from './sqlite-thread.ts'

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
port.postMessage({ id: 0, outcomes: [guarded(open)] } satisfies ThreadReply)

function reply({ id, statements }: ThreadRequest): ThreadReply {
  return { id, outcomes: statements === undefined ? [guarded(close)] : runTogether(db!, statements) }
}

/** Copies the codes, which errors lose when they are sent between threads. */
function guarded(work: () => ThreadResult): Outcome {
  try {
    return { result: work() }
  } catch (error) {
    return { error: codesOf(error) }
  }
}

function codesOf(error: unknown): { message: string; code: unknown; errcode: unknown } {
  const { message, code, errcode } = error as Error & { code?: unknown; errcode?: unknown }
  return { message, code, errcode }
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

/**
 * Commits the statements together, because most of the time of a commit is the disk's. No result leaves this thread before
 * the commit. If anything fails, the statements run one after another, so that a bad one harms no other.
 */
function runTogether(opened: DatabaseSync, together: readonly Statement[]): Outcome[] {
  if (together.filter(mayWrite).length < 2) return runAlone(opened, together)
  const busy = guarded(() => begin(opened))
  if ('error' in busy) return together.map((statement) => (mayWrite(statement) ? busy : alone(opened, statement)))
  try {
    const outcomes = together.map(({ sql, parameters }) => ({ result: execute(opened, sql, parameters) }))
    execute(opened, 'commit')
    return outcomes
  } catch {
    // SQLite has rolled back by itself after some errors, such as a full disk.
    if (opened.isTransaction) execute(opened, 'rollback')
    return runAlone(opened, together)
  }
}

const mayWrite = ({ sql }: Statement) => !sql.startsWith('select ')

/** Waits for the write lock once for all statements, and not once for each. */
function begin(opened: DatabaseSync): ThreadResult {
  requireSameFiles()
  return execute(opened, 'begin immediate')
}

const runAlone = (opened: DatabaseSync, all: readonly Statement[]) => all.map((statement) => alone(opened, statement))

function alone(opened: DatabaseSync, { sql, parameters }: Statement): Outcome {
  return guarded(() => {
    // An open transaction must still be able to roll back.
    if (sql !== 'rollback') requireSameFiles()
    return execute(opened, sql, parameters)
  })
}

function execute(opened: DatabaseSync, sql: string, parameters: readonly unknown[] = []): ThreadResult {
  const statement = statements.get(sql) ?? opened.prepare(sql)
  if (statements.size < MAX_STATEMENTS) statements.set(sql, statement)
  const values = parameters as readonly SQLInputValue[]
  if (statement.columns().length > 0) return { rows: statement.all(...values) }
  const { changes, lastInsertRowid } = statement.run(...values)
  return { rows: [], changes: BigInt(changes), lastInsertRowid: BigInt(lastInsertRowid) }
}
