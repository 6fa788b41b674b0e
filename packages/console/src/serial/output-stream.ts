/** The raw output as a stream. A WebSocket cannot be paused, so a reader that falls too far behind is cut off. */
import { OrielError } from '@oriel/sdk'

/** The output that is kept for a reader who comes late. */
const EARLY_BYTES = 262_144

export class OutputStream {
  readonly #maxBytes: number
  #early: Uint8Array[] = []
  #earlyBytes = 0
  #readable: ReadableStream<Uint8Array> | undefined
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  /** The `desiredSize` of the stream when it is empty, in bytes. */
  #room = 0
  #end: { readonly error: OrielError | undefined } | undefined

  /** @param maxBytes how far its reader may fall behind */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The stream, which starts with the output before the first call, of that at most the last 256 KiB. */
  get readable(): ReadableStream<Uint8Array> {
    this.#readable ??= this.#create()
    return this.#readable
  }

  push(bytes: Uint8Array): void {
    if (this.#end) return
    if (this.#controller === undefined) this.#keepEarly(bytes)
    else if ((this.#controller.desiredSize ?? 0) > 0) this.#controller.enqueue(bytes)
    else this.end(new OrielError('The reader of the output is too slow'))
  }

  /** Ends the stream once its reader has the rest. */
  end(error?: OrielError): void {
    if (this.#end) return
    this.#end = { error }
    this.#close()
  }

  #create(): ReadableStream<Uint8Array> {
    const maxBytes = this.#maxBytes + this.#earlyBytes
    const strategy = { highWaterMark: maxBytes, size: (bytes: Uint8Array | undefined) => bytes?.byteLength ?? 0 }
    const start = (controller: ReadableStreamDefaultController<Uint8Array>) => {
      this.#controller = controller
      for (const bytes of this.#early.splice(0)) controller.enqueue(bytes)
    }
    const pull = () => {
      if (this.#end) this.#close()
    }
    const cancel = () => {
      this.#end ??= { error: undefined }
    }
    this.#room = maxBytes
    const readable = new ReadableStream({ start, pull, cancel }, strategy)
    if (this.#end) this.#close()
    return readable
  }

  /** Closes the stream, or fails it once its reader has read everything: an error discards the rest. */
  #close(): void {
    const error = this.#end?.error
    if (error === undefined) this.#controller?.close()
    else if (this.#controller?.desiredSize === this.#room) this.#controller.error(error)
  }

  #keepEarly(bytes: Uint8Array): void {
    this.#early.push(bytes)
    this.#earlyBytes += bytes.byteLength
    while (this.#earlyBytes > EARLY_BYTES) this.#earlyBytes -= this.#early.shift()!.byteLength
  }
}
