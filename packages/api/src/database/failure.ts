/** Classifies the errors of the three database drivers. */

/**
 * `read-only`: as after a failover. `full`: its disk is full. `locked`: another process holds a lock. `moved`: its
 * file was deleted or replaced while it was open.
 */
export type Failure = 'read-only' | 'full' | 'locked' | 'moved'

/** By MariaDB's error number, because the driver's names are MySQL's and incomplete. */
const MARIADB: Readonly<Record<number, Failure>> = {
  1021: 'full',
  1114: 'full',
  1205: 'locked',
  1290: 'read-only',
  1792: 'read-only',
  1836: 'read-only',
}
/** By PostgreSQL's SQLSTATE. */
const POSTGRES: Readonly<Record<string, Failure>> = {
  '25006': 'read-only',
  '53100': 'full',
  '55P03': 'locked',
}
const SQLITE_READONLY_DBMOVED = 1032
/** By SQLite's primary result code: https://sqlite.org/rescode.html */
const SQLITE: Readonly<Record<number, Failure>> = { 5: 'locked', 6: 'locked', 8: 'read-only', 13: 'full' }

interface DriverError {
  readonly errno?: unknown
  readonly code?: unknown
  readonly errcode?: unknown
}

/** Returns the kind of a driver's error, or `undefined` for any other error. */
export function failureOf(error: unknown): Failure | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { errno, code, errcode } = error as DriverError
  if (errcode === SQLITE_READONLY_DBMOVED) return 'moved'
  // The upper bytes of SQLite's code only add detail.
  if (typeof errcode === 'number') return SQLITE[errcode & 0xff]
  if (typeof code === 'string' && Object.hasOwn(POSTGRES, code)) return POSTGRES[code]
  return typeof errno === 'number' ? MARIADB[errno] : undefined
}

const SENTENCES: Readonly<Record<Failure, string>> = {
  'read-only': 'the database is read-only',
  full: "the database's disk is full",
  locked: 'another process holds a lock on the database',
  moved:
    'the database file of tokens.store was deleted or replaced, and what is written to it would be lost; put the same file back, or restart to open the file that is there now',
}

/** Returns the log message for a failed query, with the kind of failure if it is known. */
export function describeFailure(store: string, error: unknown): string {
  const failure = failureOf(error)
  return failure ? `${store} does not work: ${SENTENCES[failure]}` : `${store} does not answer`
}
