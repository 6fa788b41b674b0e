/**
 * Runs an SQLite database on its own thread, so that a slow disk or another process's lock does not block the event loop.
 */
import { Worker } from 'node:worker_threads'

/** The thread's start-up data. */
export interface ThreadData {
  readonly file: string
}

/** Without `sql`: close the database. */
export interface ThreadRequest {
  readonly id: number
  readonly sql?: string
  readonly parameters?: readonly unknown[]
}

export interface ThreadReply {
  readonly id: number
  readonly result?: ThreadResult
  readonly error?: { readonly message: string; readonly code: unknown; readonly errcode: unknown }
}

export interface ThreadResult {
  readonly rows: unknown[]
  readonly changes?: bigint
  readonly lastInsertRowid?: bigint
}

type Pending = PromiseWithResolvers<ThreadResult>

/** A file beside this module, in the sources, in the package's build and in the programs. */
const WORKER = new URL(`./sqlite-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)
/** The id under which the thread reports that it has opened the database. */
const OPENED = 0

export class SqliteThread {
  readonly #worker: Worker
  readonly #pending = new Map<number, Pending>()
  /** Settles when the database is open. */
  readonly opened: Promise<ThreadResult>
  #lastId = OPENED
  #dead: Error | undefined

  constructor(file: string) {
    const data: ThreadData = { file }
    // Drops the program's Node flags: some of them, such as --input-type, are errors for a module in a file.
    this.#worker = new Worker(WORKER, { workerData: data, name: 'sqlite', execArgv: [] })
    this.#worker.on('message', (reply: ThreadReply) => this.#settle(reply))
    this.#worker.on('error', (error) => this.#die(error))
    this.#worker.on('exit', (code) => this.#die(new Error(`the thread of the database ended with code ${code}`)))
    this.opened = this.#expect(OPENED)
  }

  /** Whether the thread has ended. */
  get isDead(): boolean {
    return this.#dead !== undefined
  }

  /** Runs one statement. Rejects with SQLite's error, which has `code` and `errcode`. */
  run(sql: string, parameters: readonly unknown[] = []): Promise<ThreadResult> {
    return this.#ask({ sql, parameters })
  }

  /** Closes the database and ends the thread. */
  async close(): Promise<void> {
    try {
      if (!this.#dead) await this.#ask({})
    } finally {
      await this.terminate()
    }
  }

  /** Ends the thread, even during a statement. */
  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }

  #ask(request: Omit<ThreadRequest, 'id'>): Promise<ThreadResult> {
    if (this.#dead) return Promise.reject(this.#dead)
    const id = ++this.#lastId
    const reply = this.#expect(id)
    this.#worker.postMessage({ id, ...request } satisfies ThreadRequest)
    return reply
  }

  // The thread only keeps the program alive while a statement runs.
  #expect(id: number): Promise<ThreadResult> {
    const pending = Promise.withResolvers<ThreadResult>()
    this.#pending.set(id, pending)
    this.#worker.ref()
    return pending.promise
  }

  #settle({ id, result, error }: ThreadReply): void {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    if (this.#pending.size === 0) this.#worker.unref()
    if (result) pending?.resolve(result)
    else pending?.reject(Object.assign(new Error(error?.message), { code: error?.code, errcode: error?.errcode }))
  }

  #die(error: Error): void {
    this.#dead ??= error
    for (const pending of this.#pending.values()) pending.reject(this.#dead)
    this.#pending.clear()
  }
}
