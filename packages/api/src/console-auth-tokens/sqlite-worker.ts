/**
 * The thread of an SQLite database: opens it, and answers statements one after another. It waits for the disk and for locks of
 * other processes, which `node:sqlite` can only do synchronously. Started by `sqlite-thread.ts`; it imports nothing of the
 * workspace, since the programs carry it as a file of its own.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { ThreadAnswer, ThreadData, ThreadRequest, ThreadResult } from './sqlite-thread.ts'

/** How long a statement waits for another process that writes. */
const BUSY_TIMEOUT_MS = 5_000
/** As SQLite calls it: another process holds a lock. */
const SQLITE_BUSY = 5
const BUSY_RETRY_MS = 10
/** Prepared statements that are kept; the stores have fewer. */
const MAX_STATEMENTS = 100

const port = parentPort!
const nothing: ThreadResult = { rows: [] }
const statements = new Map<string, StatementSync>()
let db: DatabaseSync | undefined
port.on('message', (request: ThreadRequest) => port.postMessage(answer(request)))
port.postMessage(guarded(0, open))

function answer({ id, sql, parameters }: ThreadRequest): ThreadAnswer {
  if (sql === undefined) return guarded(id, close)
  return guarded(id, () => run(db!, sql, parameters as readonly SQLInputValue[]))
}

/** Errors lose their codes when they are sent as they are. */
function guarded(id: number, work: () => ThreadResult): ThreadAnswer {
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
    // A token that was answered, or a revocation, must outlive the power too.
    opened.exec('PRAGMA synchronous = FULL')
  } catch (error) {
    opened.close()
    throw error
  }
  db = opened
  return nothing
}

function close(): ThreadResult {
  db?.close()
  return nothing
}

/** Of programs that start at once on a new file one changes its mode; SQLite refuses the others at once, without the timeout. */
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
  const statement = statements.get(sql) ?? opened.prepare(sql)
  if (statements.size < MAX_STATEMENTS) statements.set(sql, statement)
  if (statement.columns().length > 0) return { rows: statement.all(...parameters) }
  const { changes, lastInsertRowid } = statement.run(...parameters)
  return { rows: [], changes: BigInt(changes), lastInsertRowid: BigInt(lastInsertRowid) }
}
