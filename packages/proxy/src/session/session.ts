/** One open console over a WebSocket, from the 101 to its end. */
import { closeReasons } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import type { WebSocket } from 'ws'
import { type Ending, endingOfClose, endingOfError } from './ending.ts'
import type { SessionFacts, SessionRecord, SessionView } from './open-session.ts'
import type { EarlyBytes, Relay } from './relay.ts'

export class Session {
  readonly id: string
  readonly facts: SessionFacts
  /** Resolves when the session ends. */
  readonly ended: Promise<Ending>
  /** Names the tickets of the session's page, if it has one. */
  handle: string | undefined
  readonly #client: WebSocket
  readonly #log: Logger
  readonly #startedMs = Date.now()
  readonly #openedMs = performance.now()
  /** Released when the relay starts: an idle session would keep half a KiB for its signal. */
  #handshake: AbortController | undefined = new AbortController()
  /** Present after both handshakes. */
  #relay: Relay | undefined
  #hasEnded = false
  readonly #resolveEnded: (ending: Ending) => void

  constructor(id: string, facts: SessionFacts, client: WebSocket, log: Logger, record?: SessionRecord) {
    this.id = id
    this.facts = facts
    this.#client = client
    // Not a child logger, which would keep the serialized facts in memory while the session idles.
    this.#log = log
    const { promise, resolve } = Promise.withResolvers<Ending>()
    this.ended = promise
    this.#resolveEnded = resolve
    client.on('close', (code) => this.end(endingOfClose(code)))
    client.on('error', (cause) => this.end(endingOfError(cause)))
    this.#log.info(this.#named, 'session opened')
    record?.opened(this)
  }

  get startedAt(): Date {
    return new Date(this.#startedMs)
  }

  /** Aborts when the session ends before its relay has started. */
  get handshakeSignal(): AbortSignal {
    return this.#handshake!.signal
  }

  get relay(): Relay | undefined {
    return this.#relay
  }

  /** Relays from now on, until the session ends. */
  startRelay(relay: Relay, early: EarlyBytes): void {
    this.#relay = relay
    this.#handshake = undefined
    relay.start(early)
  }

  get view(): SessionView {
    const { bytesToClient = 0, bytesToConsole = 0 } = this.#relay ?? {}
    return { id: this.id, startedAt: this.startedAt, ...this.facts, bytesToClient, bytesToConsole }
  }

  get lastInputMs(): number {
    return this.#relay?.lastInputMs ?? this.#openedMs
  }

  get bufferedBytes(): number {
    return this.#relay?.bufferedBytes ?? 0
  }

  machineMoved(): boolean {
    return this.#relay?.machineMoved() ?? false
  }

  /** Ends the session. Later calls have no effect. */
  end(ending: Ending): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#relay?.stop()
    this.#handshake?.abort(new Error(`the session ended: ${ending.reason}`))
    this.#logEnd(ending)
    this.#resolveEnded(ending)
  }

  /** Sends the close frame, and drops the connection if the client does not answer in time. */
  async close({ reason, text = closeReasons[reason].text, drop = false }: Ending, timeoutMs: number): Promise<void> {
    if (this.#client.readyState === this.#client.CLOSED) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#client.once('close', () => resolve())
    if (drop) {
      this.#client.terminate()
      return promise
    }
    this.#client.close(closeReasons[reason].code, text)
    const timer = setTimeout(() => this.#client.terminate(), timeoutMs)
    await promise
    clearTimeout(timer)
  }

  /** Drops the client's connection at once. */
  terminate(): void {
    this.#client.terminate()
  }

  get #named(): object {
    return { session: this.id, ...shown(this.facts) }
  }

  #logEnd({ reason, detail, cause }: Ending): void {
    const { bytesToClient, bytesToConsole } = this.view
    const durationMs = Math.round(performance.now() - this.#openedMs)
    this.#log.info(
      { ...this.#named, reason, detail, err: cause, durationMs, bytesToClient, bytesToConsole },
      'session ended',
    )
  }
}

/** The logged part of a token's digest: enough to find the sessions of one token, and too short to search for the token. */
const SHOWN_DIGEST_DIGITS = 12

function shown({ tokenDigest, ...rest }: SessionFacts): object {
  return { ...rest, digest: tokenDigest.slice(0, SHOWN_DIGEST_DIGITS) }
}
