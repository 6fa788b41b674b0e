/** What a name of a store leads to: how it is reached, and how its failures are told apart. */
import type { Logger } from '@oriel/runtime'
import type { Dialect } from 'kysely'

export interface PoolOptions {
  /** Connections at once. */
  readonly poolMax: number
  /** How long the database may take for a statement; what takes longer is ended there, and here a second later. */
  readonly statementTimeoutMs: number
  readonly log: Logger
}

/** How long a request waits for a connection, whether a free one or a new one. */
export const CONNECT_TIMEOUT_MS = 5_000
/** How much later than the database we give a statement up: then the database itself no longer answers. */
export const ANSWER_GRACE_MS = 1_000
/** How long connections may take to end in good order. */
export const CLOSE_TIMEOUT_MS = 2_000

export interface StorePlace {
  /** What errors and the log call it; has no user and no password. */
  readonly shown: string
  /** @throws if it cannot be opened; servers are connected to only when they are needed. */
  readonly dialect: (options: PoolOptions) => Dialect
  /** Whether the error means that the database is away for now, so that trying again makes sense. */
  readonly isAway: (error: unknown) => boolean
  /** What to do about any other error at the start. */
  readonly remedy: (error: unknown) => string
  /**
   * Whether opening would create a new database, which a check must not do.
   * @throws if it could not be created
   */
  readonly isNew?: () => boolean
  /** What ends the definition of each table. */
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

/** The system's error codes for an address at which no database listens, or no longer listens. */
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
