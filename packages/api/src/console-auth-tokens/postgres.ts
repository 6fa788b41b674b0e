/** PostgreSQL for Kysely's own dialect: a pool whose connections have deadlines, and are dropped when they miss one. */
import { readFileSync } from 'node:fs'
import { PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely'
import pg from 'pg'
import { type DatabaseAddress, parseDatabaseUrl, showAddress, type UrlWords } from './database-url.ts'
import {
  ANSWER_GRACE_MS,
  atMost,
  CLOSE_TIMEOUT_MS,
  CONNECT_TIMEOUT_MS,
  codeOf,
  isNetworkError,
  type PoolOptions,
  type StorePlace,
} from './place.ts'

/** As libpq calls them. */
const WORDS: UrlWords = {
  defaultPort: 5432,
  socket: 'host',
  cafile: 'sslrootcert',
  tls: { key: 'sslmode', off: 'disable', on: 'verify-full' },
}

/**
 * `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…&sslrootcert=FILE`.
 * @throws TypeError with what is wrong with it.
 */
export function postgresPlace(url: string): StorePlace {
  const address = parseDatabaseUrl(url, WORDS)
  return {
    shown: `PostgreSQL database ${showAddress(address)}`,
    dialect: (options) => new PostgresDialect({ pool: lend(createPool(address, options)) }),
    isAway,
    remedy: 'give the URL of a database in which this user may create tables',
  }
}

function createPool(address: DatabaseAddress, { poolMax, statementTimeoutMs, log }: PoolOptions): pg.Pool {
  const { database, user, password, port, tls } = address
  const pool = new pg.Pool({
    ...{ host: address.socket ?? address.host, port, user, database, password: password?.reveal() },
    // Said in any case: left out, it would be for the environment to turn the verification off.
    ssl: tls ? { rejectUnauthorized: true, ...(tls.cafile && { ca: readFileSync(tls.cafile, 'utf8') }) } : false,
    max: poolMax,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + ANSWER_GRACE_MS,
    idle_in_transaction_session_timeout: statementTimeoutMs,
    keepAlive: true,
    application_name: 'oriel-api',
    types: { getTypeParser },
  })
  // Such a connection leaves the pool by itself. Without listeners the errors would end the program.
  pool.on('error', (err) => log.info({ err }, 'the database ended an idle connection'))
  pool.on('connect', (client) => client.on('error', (err) => log.debug({ err }, 'a connection to the database broke')))
  return pool
}

/** 64-bit integers are times, counts and ids far below 2^53. */
const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: unknown) =>
  oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as 'text')

function lend(pool: pg.Pool): PostgresPool {
  return {
    options: pool.options,
    connect: async () => lease(await pool.connect()),
    end: () => atMost(CLOSE_TIMEOUT_MS, pool.end()),
  }
}

/** A connection on which anything but the server's own answer came is not used again: nobody knows what is still due on it. */
function lease(client: pg.PoolClient): PostgresPoolClient {
  let isBroken = false
  const query = async (sql: string, parameters: readonly unknown[]) => {
    try {
      return await client.query(sql, [...parameters])
    } catch (error) {
      isBroken ||= !(error instanceof pg.DatabaseError)
      throw error
    }
  }
  return {
    query: query as unknown as PostgresPoolClient['query'],
    release: (destroy) => client.release(destroy || isBroken),
  }
}

/** Connection exceptions, exhausted resources, intervention of an operator; lock not available. */
const AWAY_STATES = /^(08|53|57)...$|^55P03$/
const AWAY_MESSAGES = /^(Connection terminated|Query read timeout|timeout exceeded|timeout expired)/

function isAway(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return AWAY_STATES.test(codeOf(error))
  return isNetworkError(error) || AWAY_MESSAGES.test((error as Error).message)
}
