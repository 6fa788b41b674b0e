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

export class ScreenThread implements ScreenReader {
  readonly #pending = new Map<number, PromiseWithResolvers<Uint8Array<ArrayBuffer>>>()
  #worker: Worker | undefined
  #lastId = 0

  read(request: ScreenRequest): Promise<Uint8Array<ArrayBuffer>> {
    this.#worker ??= this.#start()
    const pending = Promise.withResolvers<Uint8Array<ArrayBuffer>>()
    const id = ++this.#lastId
    this.#pending.set(id, pending)
    this.#worker.postMessage({ ...request, id } satisfies ThreadRequest)
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
    if (bytes) pending?.resolve(bytes)
    else if (failure) pending?.reject(new ScreenFailure(failure.reason, failure.message))
  }

  /** Fails what is pending. The next screenshot starts another thread. */
  #end(worker: Worker, error: unknown): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    for (const pending of this.#pending.values()) pending.reject(error)
    this.#pending.clear()
  }
}
