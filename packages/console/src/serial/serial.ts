/// <reference lib="esnext.disposable" preserve="true" />
/** A serial console: text with waiting for people who write programs, and bytes for those who pass them on. */
import { ConnectionError, type OrielError } from '@oriel/sdk'
import type { Channel } from '../connection/channel.ts'
import { OutputStream } from './output-stream.ts'
import { PlainText } from './plain-text.ts'
import { type Expected, type ExpectOptions, Transcript } from './transcript.ts'

/** Limits of what a console keeps for its caller. */
export interface SerialLimits {
  /** The output that `expect` searches, in characters: the latest. Default: 262,144. */
  readonly maxTranscriptChars?: number | undefined
  /** How far the reader of `readable` may fall behind, in bytes, before the stream fails. Default: 16 MiB. */
  readonly maxBufferedBytes?: number | undefined
}

const MAX_TRANSCRIPT_CHARS = 262_144
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024
/** A WebSocket takes any amount; beyond this the writer waits, so that a paste into a slow port does not fill the memory. */
const MAX_UNSENT_BYTES = 65_536
/** No event tells that a WebSocket has sent its data. */
const UNSENT_CHECK_MS = 10

/** An open serial console. Close it, or declare it with `await using`. */
export class Serial implements AsyncDisposable {
  readonly #channel: Channel
  readonly #transcript: Transcript
  readonly #plainText = new PlainText()
  readonly #output: OutputStream
  readonly #end = Promise.withResolvers<OrielError | undefined>()
  #failure: OrielError | undefined

  constructor(channel: Channel, { maxTranscriptChars, maxBufferedBytes }: SerialLimits) {
    this.#channel = channel
    this.#transcript = new Transcript(maxTranscriptChars ?? MAX_TRANSCRIPT_CHARS)
    this.#output = new OutputStream(maxBufferedBytes ?? MAX_BUFFERED_BYTES)
  }

  /**
   * The output as bytes: that before the first use of this property, of which at most the last 256 KiB are kept, and all
   * after it. It ends after {@link Serial.close}, and fails with the reason if the connection ends by itself.
   */
  get readable(): ReadableStream<Uint8Array> {
    return this.#output.readable
  }

  /** The console's input as bytes. Strings are for `send`. */
  readonly writable: WritableStream<Uint8Array> = new WritableStream({
    write: (bytes) => this.#write(bytes),
    close: () => this.close(),
  })

  /** The output that no `expect` has consumed, as plain text: without colours and other control sequences. */
  get text(): string {
    return this.#transcript.text
  }

  /** Resolves at the end: with an error if the connection ended by itself, with `undefined` after {@link Serial.close}. */
  get ended(): Promise<OrielError | undefined> {
    return this.#end.promise
  }

  /**
   * Waits until the output contains `pattern`, and consumes it. Plain text is searched: control sequences are removed, and a
   * line ends with `\n`. What arrived after the previous match counts, so that no output is missed between two calls.
   * @param pattern a string, or an expression; `$` is the end of the output so far, as in `/login: $/`
   * @throws ExpectTimeout with the output, ConsoleClosed or ConnectionError if the console ends, the signal's reason
   */
  expect(pattern: RegExp | string, options?: ExpectOptions): Promise<Expected> {
    return this.#transcript.expect(pattern, options)
  }

  /**
   * Sends input, in UTF-8. Resolves once the WebSocket has room for more, not when the machine has read it.
   * @throws ConsoleClosed or ConnectionError after the console's end
   */
  send(input: string): Promise<void> {
    return this.#write(new TextEncoder().encode(input))
  }

  /** Sends `line` and the Enter key of a terminal, a carriage return. See {@link send}. */
  sendLine(line = ''): Promise<void> {
    return this.send(`${line}\r`)
  }

  /** Closes the console. Output that has arrived can still be read. */
  async close(): Promise<void> {
    this.#channel.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** @internal Takes output from the channel. */
  receive(bytes: Uint8Array): void {
    this.#output.push(bytes)
    this.#transcript.push(this.#plainText.push(bytes))
  }

  /** @internal Ends the console. `error`: the reason; `undefined` after `close()`. */
  end(error: OrielError | undefined): void {
    this.#failure = error ?? new ConnectionError('network', 'The console is closed')
    this.#output.end(error)
    this.#transcript.end(this.#failure)
    this.#end.resolve(error)
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += MAX_UNSENT_BYTES) {
      await this.#sendPiece(bytes.subarray(start, start + MAX_UNSENT_BYTES))
    }
  }

  async #sendPiece(bytes: Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure
    this.#channel.send(bytes)
    while (this.#failure === undefined && this.#channel.unsentBytes > MAX_UNSENT_BYTES) {
      await new Promise((resolve) => setTimeout(resolve, UNSENT_CHECK_MS))
    }
  }
}
