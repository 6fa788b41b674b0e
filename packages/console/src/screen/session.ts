/** One connection to one console, from dialling to its end. */
import { ConnectionError, type OrielError } from '@oriel/sdk'
import { type Channel, type CreateWebSocket, openChannel } from '../connection/channel.ts'
import type { Connect } from '../connection/connection.ts'
import { ProtocolError } from '../errors.ts'
import { RfbClient, type RfbEvents, type RfbOptions } from '../rfb/client.ts'

export interface SessionOptions extends RfbOptions {
  readonly webSocket: CreateWebSocket
  readonly openTimeoutMs: number
  readonly silenceTimeoutMs: number
  readonly signal?: AbortSignal | undefined
}

export interface SessionEvents extends Omit<RfbEvents, 'send'> {
  /** The last event. `error`: why the session ended. `undefined` after `close()`. */
  onEnd(error: OrielError | undefined): void
}

/** A session that shows a picture. */
export interface Session {
  readonly rfb: RfbClient
  close(): void
}

export type ConnectScreen = Connect<Session, SessionEvents>

/** How often a silent server is asked for a pixel. */
const MAX_PROBES = 2
const ONE_PIXEL = { x: 0, y: 0, width: 1, height: 1 }

/**
 * Dials a console, and resolves once its first picture has come.
 * @throws ConnectionError, ConsoleClosed or ProtocolError if it does not; the reason of `signal` if that aborts
 */
export async function openSession(address: URL, options: SessionOptions, events: SessionEvents): Promise<Session> {
  const { promise: shown, resolve, reject } = Promise.withResolvers<void>()
  const dialled = new Dialled(address, options, {
    ...events,
    onUpdate(update) {
      // An empty screen has no picture: its server sends a size later.
      if (update.damage.some(({ width, height }) => width * height > 0)) resolve()
      events.onUpdate(update)
    },
    onEnd(error) {
      reject(error ?? new ConnectionError('network', 'The console was closed while it opened'))
      events.onEnd(error)
    },
  })
  const expire = () => dialled.fail(`${address.origin} showed no screen within ${options.openTimeoutMs} ms`)
  const timer = setTimeout(expire, options.openTimeoutMs)
  const abort = () => {
    reject(options.signal?.reason)
    dialled.close()
  }
  options.signal?.addEventListener('abort', abort, { once: true })
  if (options.signal?.aborted) abort()
  try {
    await shown
    return dialled
  } finally {
    clearTimeout(timer)
    options.signal?.removeEventListener('abort', abort)
  }
}

class Dialled implements Session {
  readonly rfb: RfbClient
  readonly #channel: Channel
  readonly #origin: string
  readonly #silenceTimeoutMs: number
  #watch: ReturnType<typeof setTimeout> | undefined
  #isHeard = true
  #probes = 0

  constructor(address: URL, options: SessionOptions, events: SessionEvents) {
    this.#origin = address.origin
    this.#silenceTimeoutMs = options.silenceTimeoutMs
    this.rfb = new RfbClient(options, {
      ...events,
      send: (bytes) => this.#channel.send(bytes),
      onInit: (name) => {
        this.#listen()
        events.onInit(name)
      },
    })
    this.#channel = openChannel(address, options.webSocket, {
      onBytes: (bytes) => this.#receive(bytes),
      onEnd: (error) => {
        clearTimeout(this.#watch)
        events.onEnd(error)
      },
    })
  }

  close(): void {
    this.#channel.close()
  }

  /** Ends the session for the server's silence. */
  fail(message: string): void {
    this.#channel.close(new ConnectionError('timeout', `${message} (waiting for: ${this.rfb.state})`))
  }

  #receive(bytes: Uint8Array): void {
    this.#isHeard = true
    this.#probes = 0
    try {
      this.rfb.receive(bytes)
    } catch (error) {
      this.#channel.close(error instanceof ProtocolError ? error : unexpected(error))
    }
  }

  /**
   * A server may have nothing to send for hours. So it is asked for a pixel, which it must send. It has failed if it answers
   * none of {@link MAX_PROBES} questions, and not by the clock alone: this computer may have slept.
   */
  #listen(): void {
    const timeoutMs = this.#silenceTimeoutMs
    this.#watch = setTimeout(() => this.#listen(), timeoutMs / (MAX_PROBES + 2))
    if (this.#probes === MAX_PROBES) this.fail(`${this.#origin} did not answer within ${timeoutMs} ms`)
    else if (this.#isHeard) this.#isHeard = false
    else this.#probe()
  }

  #probe(): void {
    this.#probes += 1
    this.rfb.refresh(ONE_PIXEL)
  }
}

const unexpected = (cause: unknown) => new ProtocolError('The data of the server could not be read', { cause })
