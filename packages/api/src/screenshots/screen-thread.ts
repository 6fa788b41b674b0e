/** Reads screens on a thread, which starts with the first screenshot. */
import { Worker } from 'node:worker_threads'
import { type FailureReason, ScreenFailure, type ScreenReader, type ScreenRequest } from './screen-reader.ts'

export interface ThreadRequest extends ScreenRequest {
  readonly id: number
}

export interface ThreadReply {
  readonly id: number
  readonly bytes?: Uint8Array<ArrayBuffer>
  readonly failure?: { readonly reason: FailureReason; readonly message: string }
}

/** A file beside this module, in the sources, in the package's build and in the programs. */
const isSource = import.meta.url.endsWith('.ts')
const WORKER = new URL(`./screen-worker${isSource ? '.ts' : '.js'}`, import.meta.url)
/** Drops the program's Node flags except the one that finds the sources of the workspace. */
const FLAGS = isSource ? ['--conditions=@oriel/source'] : []

/** How long drawing the last update, reading text and compressing may take after the deadline of the picture. */
const GRACE_MS = 5_000

interface Pending extends PromiseWithResolvers<Uint8Array<ArrayBuffer>> {
  readonly timer: NodeJS.Timeout
}

export class ScreenThread implements ScreenReader {
  readonly #graceMs: number
  readonly #pending = new Map<number, Pending>()
  #worker: Worker | undefined
  #lastId = 0

  /** @param graceMs how long after its own deadline a request may take, before the thread is ended. Default: 5,000 */
  constructor({ graceMs = GRACE_MS }: { readonly graceMs?: number } = {}) {
    this.#graceMs = graceMs
  }

  read(request: ScreenRequest): Promise<Uint8Array<ArrayBuffer>> {
    this.#worker ??= this.#start()
    const worker = this.#worker
    const timer = setTimeout(() => this.#giveUp(worker), request.timeoutMs + this.#graceMs)
    const pending = { ...Promise.withResolvers<Uint8Array<ArrayBuffer>>(), timer }
    const id = ++this.#lastId
    this.#pending.set(id, pending)
    worker.postMessage({ ...request, id } satisfies ThreadRequest)
    return pending.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate()
  }

  #start(): Worker {
    const worker = new Worker(WORKER, { name: 'screens', execArgv: FLAGS })
    worker.unref()
    worker.on('message', (reply: ThreadReply) => this.#settle(reply))
    worker.on('error', (error) => this.#end(worker, error))
    worker.on('exit', (code) => this.#end(worker, new Error(`the thread of screenshots ended with code ${code}`)))
    return worker
  }

  #settle({ id, bytes, failure }: ThreadReply): void {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    clearTimeout(pending?.timer)
    if (bytes) pending?.resolve(bytes)
    else if (failure) pending?.reject(new ScreenFailure(failure.reason, failure.message))
  }

  /** A hostile server can send a picture that takes minutes to draw, during which the thread sees no deadline of its own. */
  #giveUp(worker: Worker): void {
    this.#end(worker, new ScreenFailure('timeout', 'the thread of screenshots did not answer in time'))
    void worker.terminate()
  }

  /** Fails what is pending. The next screenshot starts another thread. */
  #end(worker: Worker, error: unknown): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer)
      reject(error)
    }
    this.#pending.clear()
  }
}
