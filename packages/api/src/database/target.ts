/** The interface that each kind of database implements: how to connect to it, and how to classify its errors. */
import type { Logger } from '@oriel/runtime'
import type { Dialect } from 'kysely'

export interface PoolOptions {
  /** The largest number of connections. */
  readonly poolMax: number
  /**
   * How long a statement may take on a database server, which then aborts it. If the server does not, the client gives up
   * {@link ANSWER_GRACE_MS} later. SQLite ignores this.
   */
  readonly statementTimeoutMs: number
  readonly log: Logger
}

/** How long a request waits for a connection, free or new. */
export const CONNECT_TIMEOUT_MS = 5_000
/** How long to wait for the database's own timeout error before giving up on the connection. */
export const ANSWER_GRACE_MS = 1_000
/** How long connections may take to close. */
export const CLOSE_TIMEOUT_MS = 2_000

export interface DatabaseTarget {
  /** Its name in errors and in the log, without user and password. */
  readonly shown: string
  /** Creates the dialect, which connects to a server when it is first used. @throws if a file cannot be opened. */
  readonly dialect: (options: PoolOptions) => Dialect
  /** Whether the error means that the database is temporarily unavailable, so that retrying makes sense. */
  readonly isUnavailable: (error: unknown) => boolean
  /** The remedy for an error other than unavailability. */
  readonly remedy: (error: unknown) => string
  /**
   * Whether opening would create the database. `--check-config` then does not open it.
   * @throws if it could not be created
   */
  readonly isNew?: () => boolean
  /** The options at the end of each `create table`. */
  readonly tableOptions?: string
}

/**
 * Distinguishes connections from before a failover from later ones. When one connection reports that its server is
 * read-only, all the pool's connections lead to the former primary; each is dropped before its next use, so that new ones
 * reach the new primary.
 */
export class Generations<Connection extends object> {
  readonly #born = new WeakMap<Connection, number>()
  #current = 0

  /** Whether the connection is older than the latest failover. Registers an unknown connection as new. */
  isOutdated(connection: Connection): boolean {
    const born = this.#born.get(connection) ?? this.#current
    this.#born.set(connection, born)
    return born < this.#current
  }

  /** Marks this connection, and all others of its generation, as outdated. */
  outdate(connection: Connection): void {
    if (!this.isOutdated(connection)) this.#current += 1
  }
}

/** The system's error codes for a database that cannot be reached: its name, route, port, connection or socket file. */
const NETWORK_CODES = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN'],
  ...['ENOTFOUND', 'EAI_AGAIN', 'ENOENT'],
])

export const codeOf = (error: unknown) => String((error as { code?: unknown } | undefined)?.code ?? '')
export const isNetworkError = (error: unknown) => NETWORK_CODES.has(codeOf(error))

/** Waits for `promise` to settle, for at most `timeoutMs`. A later rejection is swallowed. */
export async function atMost(timeoutMs: number, promise: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, timeoutMs)
  try {
    await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
