/** One open console, from 101 to its end: what it is called, how much it relayed, and why it ends. */
import { randomUUID } from 'node:crypto'
import { type CloseReasonName, closeReasons } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import type { WebSocket } from 'ws'
import type { SessionParties } from '../admit/limits.ts'
import type { SessionRecord } from '../authority/authority.ts'
import type { Ending, Relay } from './relay.ts'

/** What is known of a session when it opens. The token itself is not: its digest is enough to tell sessions apart. */
export interface SessionFacts extends SessionParties {
  readonly type: string
  /** The `host:port` of the listener through which the client came. */
  readonly listener: string
}

/** What is shown of a session, and what its log records carry. */
export interface SessionView extends SessionFacts {
  readonly id: string
  readonly startedAt: Date
  readonly bytesToClient: number
  readonly bytesToConsole: number
}

export class Session {
  readonly id: string
  readonly startedAt = new Date()
  readonly facts: SessionFacts
  /** Set once both handshakes are through. */
  relay: Relay | undefined
  readonly #client: WebSocket
  readonly #log: Logger
  readonly #openedMs = performance.now()
  readonly #ending = new AbortController()
  readonly #ended = Promise.withResolvers<Ending>()

  /** @param record the authority's, whose id the session then has too. */
  constructor(facts: SessionFacts, client: WebSocket, log: Logger, record?: SessionRecord) {
    this.id = record?.id ?? randomUUID()
    this.facts = facts
    this.#client = client
    // No child logger: it would hold the text of all this ready for as long as the session idles.
    this.#log = log
    client.on('close', (code) => this.end(endingOfClose(code)))
    client.on('error', (cause) => this.end(endingOfError(cause)))
    this.#log.info(this.#named, 'session opened')
    record?.opened(this)
    this.#ended.promise.then(({ reason }) => record?.ended(reason))
  }

  /** Aborts when the session ends: all that waits on its behalf gives up. */
  get signal(): AbortSignal {
    return this.#ending.signal
  }

  /** Resolves when the session ends, whoever ended it. */
  get ended(): Promise<Ending> {
    return this.#ended.promise
  }

  get view(): SessionView {
    const { bytesToClient = 0, bytesToConsole = 0 } = this.relay ?? {}
    return { id: this.id, startedAt: this.startedAt, ...this.facts, bytesToClient, bytesToConsole }
  }

  get lastInputMs(): number {
    return this.relay?.lastInputMs ?? this.#openedMs
  }

  get bufferedBytes(): number {
    return this.relay?.bufferedBytes ?? 0
  }

  /** Ends the session. The first reason counts. */
  end(ending: Ending): void {
    if (this.#ending.signal.aborted) return
    this.relay?.stop()
    this.#ending.abort(new Error(`the session ended: ${ending.reason}`))
    this.#logEnd(ending)
    this.#ended.resolve(ending)
  }

  /** Tells the client why, and drops the connection when it does not answer in time. */
  async close({ reason, drop = false }: Ending, timeoutMs: number): Promise<void> {
    if (this.#client.readyState === this.#client.CLOSED) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#client.once('close', () => resolve())
    if (drop) {
      this.#client.terminate()
      return promise
    }
    const { code, text } = closeReasons[reason]
    this.#client.close(code, text)
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

/** How much of a token's digest is logged: enough to find sessions of one token, too little to search for it. */
const SHOWN_DIGEST_DIGITS = 12

function shown({ tokenDigest, ...rest }: SessionFacts): object {
  return { ...rest, digest: tokenDigest.slice(0, SHOWN_DIGEST_DIGITS) }
}

/** 1006 is no close frame at all: the connection broke (RFC 6455 section 7.1.5). */
function endingOfClose(code: number): Ending {
  return code === 1006 ? { reason: 'client_lost', detail: 'the connection broke' } : { reason: 'client_closed' }
}

function endingOfError(cause: Error & { code?: string }): Ending {
  const reason = wsReasons[cause.code ?? ''] ?? (cause.code?.startsWith('WS_ERR_') ? 'protocol_error' : 'client_lost')
  return { reason, detail: cause.message, cause }
}

const wsReasons: Readonly<Record<string, CloseReasonName>> = { WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 'message_too_big' }
