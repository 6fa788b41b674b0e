/**
 * Turns at the thread of an SQLite database, first in, first out: a turn belongs to one transaction, or to all queries that
 * wait at that moment, which share one commit and so one wait for the disk.
 */
import { type Outcome, resultOf, type SqliteThread, type Statement, type ThreadResult } from './sqlite-thread.ts'
import { CONNECT_TIMEOUT_MS } from './target.ts'

/** Bounds how long other processes wait for the write lock. */
const MAX_TOGETHER = 100

interface Query extends PromiseWithResolvers<ThreadResult> {
  readonly statement: Statement
}

type Lease = PromiseWithResolvers<SqliteThread>

export class SqliteTurns {
  readonly #open: () => Promise<SqliteThread>
  /** In order, with the timer that gives up. */
  readonly #waiting = new Map<Query | Lease, NodeJS.Timeout>()
  #isTaken = false

  /** @param open returns the thread, and starts it if it is not running */
  constructor(open: () => Promise<SqliteThread>) {
    this.#open = open
  }

  /** Runs a statement outside of a transaction. Rejects with SQLite's error, or if no turn comes in time. */
  query(statement: Statement): Promise<ThreadResult> {
    const query = { ...Promise.withResolvers<ThreadResult>(), statement }
    this.#enqueue(query)
    return query.promise
  }

  /** Takes a turn for a transaction, which ends with {@link give}. Rejects if no turn comes in time. */
  lease(): Promise<SqliteThread> {
    const lease = Promise.withResolvers<SqliteThread>()
    this.#enqueue(lease)
    return lease.promise
  }

  give(): void {
    this.#isTaken = false
    this.#next()
  }

  #enqueue(waiter: Query | Lease): void {
    const giveUp = () => {
      this.#waiting.delete(waiter)
      waiter.reject(Object.assign(new Error('the database was busy for too long'), { code: 'ETIMEDOUT' }))
    }
    this.#waiting.set(waiter, setTimeout(giveUp, CONNECT_TIMEOUT_MS))
    this.#next()
  }

  #next(): void {
    if (this.#isTaken) return
    const [first] = this.#waiting.keys()
    if (!first) return
    this.#isTaken = true
    if ('statement' in first) void this.#runTogether(this.#takeQueries())
    else void this.#start(this.#take(first))
  }

  #takeQueries(): Query[] {
    const queries: Query[] = []
    for (const waiter of this.#waiting.keys()) {
      if (!('statement' in waiter) || queries.length === MAX_TOGETHER) break
      queries.push(this.#take(waiter))
    }
    return queries
  }

  #take<W extends Query | Lease>(waiter: W): W {
    clearTimeout(this.#waiting.get(waiter))
    this.#waiting.delete(waiter)
    return waiter
  }

  async #runTogether(queries: readonly Query[]): Promise<void> {
    try {
      const thread = await this.#open()
      const outcomes = await thread.runTogether(queries.map(({ statement }) => statement))
      for (const [index, query] of queries.entries()) settle(query, outcomes[index]!)
    } catch (error) {
      for (const query of queries) query.reject(error)
    } finally {
      this.give()
    }
  }

  async #start(lease: Lease): Promise<void> {
    try {
      lease.resolve(await this.#open())
    } catch (error) {
      lease.reject(error)
      this.give()
    }
  }
}

function settle({ resolve, reject }: Query, outcome: Outcome): void {
  try {
    resolve(resultOf(outcome))
  } catch (error) {
    reject(error)
  }
}
