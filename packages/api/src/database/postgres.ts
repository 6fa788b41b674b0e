/** PostgreSQL for Kysely's own dialect: a pool whose connections have deadlines, and are dropped when they miss one. */
import { readTextFile } from '@oriel/runtime'
import { PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely'
import pg from 'pg'
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

/** The names of libpq. */
const WORDS: UrlWords = {
  defaultPort: 5432,
  socket: 'host',
  cafile: 'sslrootcert',
  hasUserAndPort: true,
  tls: { key: 'sslmode', off: 'disable', on: 'verify-full' },
}

/**
 * Parses `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…&sslrootcert=FILE`.
 * @throws TypeError that explains the fault
 */
export function postgresTarget(url: string): DatabaseTarget {
  const address = parseDatabaseUrl(url, WORDS)
  return {
    shown: `PostgreSQL database ${showAddress(address)}`,
    dialect: (options) => new PostgresDialect({ pool: lend(createPool(address, options)) }),
    isUnavailable,
    remedy,
  }
}

function createPool(address: DatabaseAddress, { poolMax, statementTimeoutMs, log }: PoolOptions): pg.Pool {
  const { database, user, password, port, tls } = address
  const pool = new pg.Pool({
    ...{ host: address.socket ?? address.host, port, user, database, password: password?.reveal() },
    // Always set: the driver would otherwise read it from the environment, which could turn verification off.
    ssl: tls
      ? {
          rejectUnauthorized: true,
          ...(tls.cafile && { ca: readTextFile(tls.cafile), allowPartialTrustChain: true }),
        }
      : false,
    max: poolMax,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + ANSWER_GRACE_MS,
    idle_in_transaction_session_timeout: statementTimeoutMs,
    keepAlive: true,
    application_name: 'oriel-api',
    types: { getTypeParser },
  })
  // The pool removes such a connection by itself. Without a listener, the error would end the program.
  pool.on('error', (err) => log.info({ err }, 'the database ended an idle connection'))
  pool.on('connect', (client) => client.on('error', (err) => log.debug({ err }, 'a connection to the database broke')))
  return pool
}

/** Parses 64-bit integers as numbers: they are times, counts and ids far below 2^53. */
const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: unknown) =>
  oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as 'text')

function lend(pool: pg.Pool): PostgresPool {
  const generations = new Generations<pg.PoolClient>()
  return {
    options: pool.options,
    connect: async () => lease(await acquireCurrent(pool, generations), generations),
    end: () => atMost(CLOSE_TIMEOUT_MS, pool.end()),
  }
}

async function acquireCurrent(pool: pg.Pool, generations: Generations<pg.PoolClient>): Promise<pg.PoolClient> {
  for (;;) {
    const client = await pool.connect()
    if (!generations.isOutdated(client)) return client
    client.release(true)
  }
}

/**
 * Discards the connection after any error that did not come from the server, since the protocol state is then unknown; after
 * the server said that it is read-only, since the next connection may reach another server; and when it was left inside a
 * failed transaction.
 */
function lease(client: pg.PoolClient, generations: Generations<pg.PoolClient>): PostgresPoolClient {
  let isBroken = false
  const query = async (sql: string, parameters: readonly unknown[]) => {
    try {
      return await client.query(sql, [...parameters])
    } catch (error) {
      if (failureOf(error) === 'read-only') generations.outdate(client)
      isBroken ||= !(error instanceof pg.DatabaseError) || error.code === IN_FAILED_TRANSACTION
      throw error
    }
  }
  return {
    query: query as unknown as PostgresPoolClient['query'],
    release: (destroy) => client.release(destroy || isBroken || generations.isOutdated(client)),
  }
}

const IN_FAILED_TRANSACTION = '25P02'

/** PgBouncer's message about a start-up parameter that it does not support. */
const REFUSED_PARAMETER = /unsupported startup parameter: (\w+)/

function remedy(error: unknown): string {
  const refused = REFUSED_PARAMETER.exec((error as Error).message)?.[1]
  if (refused === undefined) return 'give the URL of a database in which this user may create tables'
  const all = [...new Set([refused, 'statement_timeout', 'idle_in_transaction_session_timeout'])].join(', ')
  return `the pooler refuses ${refused}: set ignore_startup_parameters = ${all} in pgbouncer.ini`
}

/**
 * PgBouncer uses this state for nearly all errors; only the message distinguishes a wrong configuration from a busy pooler.
 */
const POOLER_STATE = '08P01'
const POOLER_REFUSALS = /unsupported startup parameter|no such (database|user)|authentication failed|not allowed/i

/** Connection exceptions, insufficient resources, operator intervention, and "lock not available". */
const UNAVAILABLE_STATES = /^(08|53|57)...$|^55P03$/
const AWAY_MESSAGES = /^(Connection terminated|Query read timeout|timeout exceeded|timeout expired)/

function isUnavailable(error: unknown): boolean {
  if (failureOf(error) === 'read-only') return true
  if (codeOf(error) === POOLER_STATE) return !POOLER_REFUSALS.test((error as Error).message)
  if (error instanceof pg.DatabaseError) return UNAVAILABLE_STATES.test(codeOf(error))
  return isNetworkError(error) || AWAY_MESSAGES.test((error as Error).message)
}
