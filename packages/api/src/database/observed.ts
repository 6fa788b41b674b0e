/** Measures how long the API waits for its database. */
import type { Dialect, Driver, KyselyConfig, LogEvent } from 'kysely'
import { failureOf } from './failure.ts'

/**
 * Called after each wait for the database.
 * @param operation `connect` for a connection, free or new; else the kind of statement, such as `select`
 * @param result `ok`, the kind of failure, or `error`
 */
export type DatabaseObserver = (operation: string, result: string, seconds: number) => void

/** Returns the configuration of Kysely for a database that reports its waits to `observe`. */
export function observed(dialect: Dialect, observe: DatabaseObserver | undefined): KyselyConfig {
  if (!observe) return { dialect }
  return {
    dialect: {
      createDriver: () => observeConnections(dialect.createDriver(), observe),
      createQueryCompiler: () => dialect.createQueryCompiler(),
      createAdapter: () => dialect.createAdapter(),
      createIntrospector: (db) => dialect.createIntrospector(db),
    },
    log: (event) => observe(kindOf(event), resultOf(event), event.queryDurationMillis / 1000),
  }
}

/** Kysely logs statements, but not the wait for a connection, in which an unavailable server shows first. */
function observeConnections(driver: Driver, observe: DatabaseObserver): Driver {
  const acquire = driver.acquireConnection.bind(driver)
  driver.acquireConnection = async (options) => {
    const startedAt = performance.now()
    const observeWait = (result: string) => observe('connect', result, (performance.now() - startedAt) / 1000)
    try {
      const connection = await acquire(options)
      observeWait('ok')
      return connection
    } catch (error) {
      observeWait(failureOf(error) ?? 'error')
      throw error
    }
  }
  return driver
}

const KINDS: Readonly<Record<string, string>> = {
  SelectQueryNode: 'select',
  InsertQueryNode: 'insert',
  UpdateQueryNode: 'update',
  DeleteQueryNode: 'delete',
}
const kindOf = ({ query }: LogEvent) => KINDS[query.query.kind] ?? 'other'
const resultOf = (event: LogEvent) => (event.level === 'query' ? 'ok' : (failureOf(event.error) ?? 'error'))
