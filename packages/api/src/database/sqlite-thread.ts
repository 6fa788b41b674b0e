/**
 * Runs an SQLite database on its own thread, so that a slow disk or another process's lock does not block the event loop.
 */
import { Worker } from 'node:worker_threads'

/** The thread's start-up data. */
export interface ThreadData {
  readonly file: string
}

/** Without `statements`: close the database. */
export interface ThreadRequest {
  readonly id: number
  readonly statements?: readonly Statement[]
}

export interface Statement {
  readonly sql: string
  readonly parameters: readonly unknown[]
}

/** The outcomes are in the order of the statements. */
export interface ThreadReply {
  readonly id: number
  readonly outcomes: readonly Outcome[]
}

export type Outcome =
  | { readonly result: ThreadResult }
  | { readonly error: { readonly message: string; readonly code: unknown; readonly errcode: unknown } }

export interface ThreadResult {
  readonly rows: unknown[]
  readonly changes?: bigint
  readonly lastInsertRowid?: bigint
}

type Pending = PromiseWithResolvers<readonly Outcome[]>

/** A file beside this module, in the sources, in the package's build and in the programs. */
const WORKER = new URL(`./sqlite-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
/** The id under which the thread reports that it has opened the database. */
const OPENED = 0

export class SqliteThread {
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  /** Settles when the database is open. */
  readonly opened: Promise<void>
  #lastId = OPENED
  #dead: Error | undefined

  constructor(file: string) {
    const data: ThreadData = { file }
    // Drops the program's Node flags: some of them, such as --input-type, are errors for a module in a file.
    this.#worker = new Worker(WORKER, { workerData: data, name: 'sqlite', execArgv: [] })
    this.#worker.on('message', (reply: ThreadReply) => this.#settle(reply))
    this.#worker.on('error', (error) => this.#die(error))
    this.#worker.on('exit', (code) => this.#die(new Error(`the thread of the database ended with code ${code}`)))
    this.opened = this.#expect(OPENED).then(([opened]) => void resultOf(opened!))
  }

  /** Whether the thread has ended. */
  get isDead(): boolean {
    return this.#dead !== undefined
  }

  /** Runs one statement. Rejects with SQLite's error, which has `code` and `errcode`. */
  async run(sql: string, parameters: readonly unknown[] = []): Promise<ThreadResult> {
    const [outcome] = await this.runTogether([{ sql, parameters }])
    return resultOf(outcome!)
  }

  /**
   * Runs independent statements in their order, outside of a transaction. They share one commit, unless one of them fails:
   * then each is committed by itself. Rejects only if the thread ends.
   */
  runTogether(statements: readonly Statement[]): Promise<readonly Outcome[]> {
    return this.#ask({ statements })
  }

  /** Closes the database and ends the thread. */
  async close(): Promise<void> {
    try {
      if (!this.#dead) for (const outcome of await this.#ask({})) resultOf(outcome)
    } finally {
      await this.terminate()
    }
  }

  /** Ends the thread, even during a statement. */
  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }

  #ask(request: Omit<ThreadRequest, 'id'>): Promise<readonly Outcome[]> {
    if (this.#dead) return Promise.reject(this.#dead)
    const id = ++this.#lastId
    const reply = this.#expect(id)
    this.#worker.postMessage({ id, ...request } satisfies ThreadRequest)
    return reply
  }

  // The thread only keeps the program alive while a statement runs.
  #expect(id: number): Promise<readonly Outcome[]> {
    const pending = Promise.withResolvers<readonly Outcome[]>()
    this.#pending.set(id, pending)
    this.#worker.ref()
    return pending.promise
  }

  #settle({ id, outcomes }: ThreadReply): void {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    if (this.#pending.size === 0) this.#worker.unref()
    pending?.resolve(outcomes)
  }

  #die(error: Error): void {
    this.#dead ??= error
    for (const pending of this.#pending.values()) pending.reject(this.#dead)
    this.#pending.clear()
  }
}

/** @throws SQLite's error with its codes */
export function resultOf(outcome: Outcome): ThreadResult {
  if ('result' in outcome) return outcome.result
  const { message, code, errcode } = outcome.error
  throw Object.assign(new Error(message), { code, errcode })
}
