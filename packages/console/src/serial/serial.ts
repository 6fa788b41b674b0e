/// <reference lib="esnext.disposable" preserve="true" />
/** A serial console: text with waiting for people who write programs, and bytes for those who pass them on. */
import { ConnectionError, type OrielError } from '@oriel/sdk'
import type { Channel } from '../connection/channel.ts'
import { type Connect, Connection, type Ending } from '../connection/connection.ts'
import { OutputStream } from './output-stream.ts'
import { PlainText } from './plain-text.ts'
import { Seam } from './seam.ts'
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

export interface SerialEvents extends Ending {
  onBytes(bytes: Uint8Array): void
}

export type ConnectSerial = Connect<Channel, SerialEvents>

/** An open serial console. Close it, or declare it with `await using`. */
export class Serial implements AsyncDisposable {
  readonly #connection: Connection<Channel, SerialEvents>
  readonly #transcript: Transcript
  readonly #plainText = new PlainText()
  readonly #output: OutputStream
  readonly #seam = new Seam((bytes) => this.#receive(bytes))
  readonly #end = Promise.withResolvers<OrielError | undefined>()
  #failure: OrielError | undefined

  private constructor(connect: ConnectSerial, reconnectMs: number, limits: SerialLimits) {
    this.#transcript = new Transcript(limits.maxTranscriptChars ?? MAX_TRANSCRIPT_CHARS)
    this.#output = new OutputStream(limits.maxBufferedBytes ?? MAX_BUFFERED_BYTES)
    this.#connection = new Connection(this.#joining(connect), reconnectMs, {
      onBytes: (bytes) => (reconnectMs > 0 ? this.#seam.push(bytes) : this.#receive(bytes)),
      onEnd: (error) => this.#finish(error),
    })
  }

  /** @internal Resolves with the console of a connection. For programs there is `openSerial`. @throws the error of `connect` */
  static async open(connect: ConnectSerial, reconnectMs: number, limits: SerialLimits): Promise<Serial> {
    const serial = new Serial(connect, reconnectMs, limits)
    await serial.#connection.open()
    return serial
  }

  /**
   * The output of all connections as bytes: at most the last 256 KiB before the first use of this property, and all output after it.
   * It ends after {@link Serial.close}. If the connection ends by itself, it fails with the reason after all output.
   */
  get readable(): ReadableStream<Uint8Array> {
    return this.#output.readable
  }

  /** The console's input as bytes. A write while the console is being opened again fails the stream for good; `send` works again later. */
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
   * Sends bytes, or text in UTF-8. Resolves once the WebSocket has room for more, not when the machine has read it.
   * @throws ConsoleClosed or ConnectionError after the console's end, ConnectionError while it is being opened again
   */
  send(input: string | Uint8Array): Promise<void> {
    return this.#write(typeof input === 'string' ? new TextEncoder().encode(input) : input)
  }

  /** Sends `line` and the Enter key of a terminal, a carriage return. See {@link send}. */
  sendLine(line = ''): Promise<void> {
    return this.send(`${line}\r`)
  }

  /** Closes the console. Output that has arrived can still be read. */
  async close(): Promise<void> {
    this.#connection.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Lets the output of each connection but the first continue that of the one before. */
  #joining(connect: ConnectSerial): ConnectSerial {
    let isFirst = true
    return (events, signal) => {
      if (!isFirst) this.#seam.begin()
      isFirst = false
      return connect(events, signal)
    }
  }

  #receive(bytes: Uint8Array): void {
    this.#output.push(bytes)
    this.#transcript.push(this.#plainText.push(bytes))
  }

  #finish(error: OrielError | undefined): void {
    if (this.#failure) return
    this.#seam.finish()
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
    const { session } = this.#connection
    if (!session) throw new ConnectionError('network', 'The console is being opened again')
    session.send(bytes)
    while (this.#connection.session === session && session.unsentBytes > MAX_UNSENT_BYTES) {
      await new Promise((resolve) => setTimeout(resolve, UNSENT_CHECK_MS))
    }
  }
}
