/** Opens the database that the configuration names, and migrates its tables. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigError, type Logger, type Secret, silentLogger } from '@oriel/runtime'
import { Kysely } from 'kysely'
import { mariadbTarget } from './mariadb.ts'
import { type DatabaseObserver, observed } from './observed.ts'
import { postgresTarget } from './postgres.ts'
import { sqliteTarget } from './sqlite.ts'
import { type Database, migrate, NewerDatabase, newerMigrations } from './tables.ts'
import type { DatabaseTarget } from './target.ts'
import { StoreUnavailable } from './unavailable.ts'

export interface StoreOptions {
  /** Connections at once to a database server. Default: 10. */
  readonly poolMax?: number
  /** How long a database server may take for a statement, in milliseconds. Default: 5000. */
  readonly statementTimeoutMs?: number
  /** How long to wait at the start for a database server that is unavailable or still read-only. Default: 60000. */
  readonly startTimeoutMs?: number
  /** Milliseconds since the epoch. Default: the system's clock, which cannot be set back under a running process. */
  readonly now?: () => number
  /** Default: a silent logger. */
  readonly log?: Logger
  /** Called after each wait for the database. Default: no observer. */
  readonly observe?: DatabaseObserver
  /** Aborts the wait for an unavailable database server. */
  readonly signal?: AbortSignal
}

/** The supported databases, by the scheme of a store's name. */
const targets: Readonly<Record<string, (name: string) => DatabaseTarget>> = {
  sqlite: sqliteTarget,
  postgres: postgresTarget,
  postgresql: postgresTarget,
  mysql: mariadbTarget,
  mariadb: mariadbTarget,
}
const PATH = 'tokens.store'
const FORMS =
  'give sqlite:FILE, sqlite::memory:, postgres://USER:PASSWORD@HOST/DATABASE or mysql://USER:PASSWORD@HOST/DATABASE'
const RETRY_AFTER_MS = 500

/**
 * Connects to the database of `name` without migrating it, since a running API may be using it.
 * @throws ConfigError with a remedy, if it cannot be reached
 */
export async function reachStore(
  name: string | Secret,
  {
    statementTimeoutMs = 5_000,
    log = silentLogger(),
  }: Pick<StoreOptions, 'statementTimeoutMs' | 'log' | 'signal'> = {},
): Promise<void> {
  const target = targetOf(textOf(name))
  let db: Kysely<Database> | undefined
  try {
    if (target.isNew?.()) return
    db = new Kysely<Database>({ dialect: target.dialect({ poolMax: 1, statementTimeoutMs, log }) })
    await newerMigrations(db)
  } catch (cause) {
    throw unusable(target, cause)
  } finally {
    await db?.destroy()
  }
}

/**
 * Opens the database that `name` names, and migrates its tables.
 * @throws ConfigError with a remedy, if it cannot be opened or written
 * @throws StoreUnavailable when the database server does not answer within `startTimeoutMs`
 */
export async function openDatabase(name: string | Secret, options: StoreOptions): Promise<Kysely<Database>> {
  const target = targetOf(textOf(name))
  const { poolMax = 10, statementTimeoutMs = 5_000, log = silentLogger() } = options
  let db: Kysely<Database> | undefined
  try {
    db = new Kysely<Database>(observed(target.dialect({ poolMax, statementTimeoutMs, log }), options.observe))
    const newer = await migrateWhenAvailable(db, target, { ...options, log })
    if (newer.length > 0) log.warn({ store: target.shown, newer }, 'a newer oriel-api has migrated the database')
    return db
  } catch (cause) {
    await db?.destroy()
    if (cause instanceof StoreUnavailable || options.signal?.aborted) throw cause
    throw unusable(target, cause)
  }
}

function unusable(target: DatabaseTarget, cause: unknown): ConfigError {
  const reason =
    cause instanceof NewerDatabase ? `: ${cause.message}` : ` (${reasonOf(cause)}), ${remedyFor(target, cause)}`
  return new ConfigError([{ path: PATH, message: `cannot use ${target.shown}${reason}` }], { cause })
}

const remedyFor = (target: DatabaseTarget, cause: unknown) =>
  target.isUnavailable(cause) ? 'start the database, or correct the address in the URL' : target.remedy(cause)

/** Explains what is wrong with the name of a store, without opening or quoting it. Returns `undefined` for a valid name. */
export function storeNameFault(name: string | Secret): string | undefined {
  const [scheme = '', rest = ''] = /^([a-z]+):(.*)$/s.exec(textOf(name))?.slice(1) ?? []
  if (!Object.hasOwn(targets, scheme) || rest === '') return `the value names no store, ${FORMS}`
  try {
    targets[scheme]!(textOf(name))
    return undefined
  } catch (error) {
    return `the URL ${reasonOf(error)}`
  }
}

function targetOf(name: string): DatabaseTarget {
  const message = storeNameFault(name)
  if (message !== undefined) throw new ConfigError([{ path: PATH, message }])
  return targets[name.slice(0, name.indexOf(':'))]!(name)
}

/**
 * Migrates the tables. Retries until the deadline while the database is unavailable: programs often start together with
 * their database, and a cluster node answers before it is ready.
 */
async function migrateWhenAvailable(
  db: Kysely<Database>,
  target: DatabaseTarget,
  options: StoreOptions,
): Promise<readonly string[]> {
  const { startTimeoutMs = 60_000, log, signal } = options
  const deadline = performance.now() + startTimeoutMs
  for (let tries = 1; ; tries += 1) {
    try {
      return await migrate(db, target.tableOptions)
    } catch (err) {
      if (!target.isUnavailable(err)) throw err
      if (performance.now() >= deadline) throw startTimedOut(target, startTimeoutMs, err)
      if (tries === 1) log?.warn({ err, store: target.shown, startTimeoutMs }, 'waiting for the database')
      else log?.debug({ err, store: target.shown, tries }, 'still waiting for the database')
      await sleep(RETRY_AFTER_MS, undefined, signal && { signal })
    }
  }
}

const startTimedOut = ({ shown }: DatabaseTarget, startTimeoutMs: number, cause: unknown) =>
  new StoreUnavailable(`${shown} could not be used within ${startTimeoutMs} ms (${reasonOf(cause)})`, { cause })

const textOf = (name: string | Secret) => (typeof name === 'string' ? name : name.reveal())

/** The reason of a failure. An address with several hosts has an error for each. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && !error.message) return error.errors.map(reasonOf).join(', ')
  return error instanceof Error ? error.message : String(error)
}
