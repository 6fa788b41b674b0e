/** MariaDB for Kysely's MySQL dialect: a pool whose connections have deadlines, and are dropped when they miss one. */
import { isIP } from 'node:net'
import { readTextFile } from '@oriel/runtime'
import { MysqlDialect, type MysqlPool, type MysqlPoolConnection } from 'kysely'
import { createPool as createMysqlPool, type Pool, type PoolConnection, type QueryError } from 'mysql2'
import { type DatabaseAddress, parseDatabaseUrl, showAddress, type UrlWords } from './database-url.ts'
import { failureOf } from './failure.ts'
import {
  ANSWER_GRACE_MS,
  atMost,
  CLOSE_TIMEOUT_MS,
  CONNECT_TIMEOUT_MS,
  codeOf,
  type DatabaseTarget,
  Generations,
  isNetworkError,
  type PoolOptions,
} from './target.ts'

/** Parameters of the URL, named as MySQL's clients name them. */
const WORDS: UrlWords = {
  defaultPort: 3306,
  socket: 'socket',
  socketAliases: ['socketPath'],
  cafile: 'ssl-ca',
  tls: { key: 'ssl-mode', off: 'DISABLED', on: 'VERIFY_IDENTITY' },
}

/**
 * Parses `mysql://USER:PASSWORD@HOST:PORT/DATABASE?ssl-mode=…&ssl-ca=FILE`.
 * @throws TypeError that explains the fault
 */
export function mariadbTarget(url: string): DatabaseTarget {
  const address = parseDatabaseUrl(url, WORDS)
  // For an IP address, the driver would verify the certificate for the name localhost.
  if (address.tls && isIP(address.host))
    throw new TypeError('uses TLS and names the server by its address: give the host name in its certificate')
  return {
    shown: `MariaDB database ${showAddress(address)}`,
    dialect: (options) => new MysqlDialect({ pool: lend(createPool(address, options), options) }),
    isUnavailable,
    remedy: () => 'give the URL of a MariaDB database in which this user may create tables',
    // Compares texts byte by byte: other collations fold case, or ignore trailing blanks.
    tableOptions: 'character set utf8mb4 collate utf8mb4_nopad_bin',
  }
}

function createPool(address: DatabaseAddress, { poolMax }: PoolOptions): Pool {
  const { host, port, socket, user, password, database, tls } = address
  return createMysqlPool({
    ...(socket === undefined ? { host, port } : { socketPath: socket }),
    ...{ user, database, ...(password && { password: password.reveal() }) },
    ...(tls && {
      ssl: {
        ...{ rejectUnauthorized: true, verifyIdentity: true },
        ...(tls.cafile && { ca: readTextFile(tls.cafile) }),
      },
    }),
    connectionLimit: poolMax,
    connectTimeout: CONNECT_TIMEOUT_MS,
    charset: 'utf8mb4',
  })
}

function lend(pool: Pool, { statementTimeoutMs }: PoolOptions): MysqlPool {
  const prepared = new WeakSet<PoolConnection>()
  const generations = new Generations<PoolConnection>()
  const prepare = async () => {
    const connection = await acquireCurrent(pool, generations)
    const lent = lease(connection, generations, statementTimeoutMs + ANSWER_GRACE_MS)
    try {
      if (!prepared.has(connection)) await prepareSession(lent, statementTimeoutMs)
    } catch (error) {
      connection.destroy()
      throw error
    }
    prepared.add(connection)
    return lent
  }
  return {
    getConnection: (done) =>
      void prepare().then(
        (connection) => done(undefined, connection),
        (error) => done(error, undefined as never),
      ),
    end: (done) => void atMost(CLOSE_TIMEOUT_MS, pool.promise().end()).then(() => done(undefined), done),
  }
}

async function acquireCurrent(pool: Pool, generations: Generations<PoolConnection>): Promise<PoolConnection> {
  for (;;) {
    const connection = await acquire(pool)
    if (!generations.isOutdated(connection)) return connection
    connection.destroy()
  }
}

/** Gets a connection within the deadline. Returns a connection that comes free after the deadline to the pool. */
async function acquire(pool: Pool): Promise<PoolConnection> {
  const { promise, resolve, reject } = Promise.withResolvers<PoolConnection>()
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    reject(Object.assign(new Error(`no database connection within ${CONNECT_TIMEOUT_MS} ms`), { code: 'ETIMEDOUT' }))
  }, CONNECT_TIMEOUT_MS)
  pool.getConnection((error, connection) => {
    clearTimeout(timer)
    if (error) reject(error)
    else if (isLate) connection.release()
    else resolve(connection)
  })
  return promise
}

/**
 * Sets strict mode, so that the server rejects values that do not fit instead of truncating them. Turns NO_BACKSLASH_ESCAPES
 * off, since the driver escapes values with backslashes. Makes the server abort statements that take too long.
 */
function prepareSession(connection: MysqlPoolConnection, statementTimeoutMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const sql = `set session sql_mode = 'STRICT_ALL_TABLES', max_statement_time = ${statementTimeoutMs / 1000}`
  connection.query(sql, [], (error) => (error ? reject(error) : resolve()))
  return promise
}

/**
 * Discards the connection after any error that did not come from the server, since the protocol state is then unknown, and
 * after the server said that it is read-only, or not part of its cluster: the next connection may reach another server.
 */
function lease(
  connection: PoolConnection,
  generations: Generations<PoolConnection>,
  timeoutMs: number,
): MysqlPoolConnection {
  let isBroken = false
  const query: MysqlPoolConnection['query'] = (sql, values, done) =>
    connection.query({ sql, values, timeout: timeoutMs }, (error: QueryError | null, result: unknown) => {
      if (error && isWrongServer(error)) generations.outdate(connection)
      isBroken ||= error !== null && !isServerError(error)
      done?.(error, result as never)
    }) as never
  return {
    query,
    config: connection.config,
    threadId: connection.threadId,
    connect: () => {},
    destroy: () => connection.destroy(),
    release: () => (isBroken || generations.isOutdated(connection) ? connection.destroy() : connection.release()),
  }
}

const isServerError = ({ sqlState, fatal }: QueryError & { sqlState?: string }) => sqlState !== undefined && !fatal

/** "WSREP has not yet prepared node for application use": the Galera node is outside the primary component. */
const ER_UNKNOWN_COM_ERROR = 1047
/** Whether the server can be reached but is not the primary. */
const isWrongServer = (error: unknown) =>
  failureOf(error) === 'read-only' || (error as { errno?: unknown }).errno === ER_UNKNOWN_COM_ERROR

/** Errors of a server that starts, stops or is out of space, or that aborted a statement for its time limit. */
const UNAVAILABLE_CODES = new Set([
  ...['ER_CON_COUNT_ERROR', 'ER_SERVER_SHUTDOWN', 'ER_NORMAL_SHUTDOWN', 'ER_STATEMENT_TIMEOUT', 'ER_QUERY_INTERRUPTED'],
  ...['ER_CONNECTION_KILLED', 'ER_LOCK_WAIT_TIMEOUT', 'ER_LOCK_DEADLOCK', 'ER_DISK_FULL', 'ER_RECORD_FILE_FULL'],
])

function isUnavailable(error: unknown): boolean {
  if (isNetworkError(error) || isWrongServer(error) || isCutOff(error)) return true
  return codeOf(error).startsWith('PROTOCOL_') || UNAVAILABLE_CODES.has(codeOf(error))
}

const ER_HANDSHAKE_ERROR = 1043

/** Whether the connection broke (SQLSTATE 08S01). A failed handshake has the same state, but would fail again. */
function isCutOff(error: unknown): boolean {
  const { sqlState, errno } = error as { sqlState?: unknown; errno?: unknown }
  return sqlState === '08S01' && errno !== ER_HANDSHAKE_ERROR
}
