/** The connection of a screen, which is opened again after an end that allows it. */
import { ConnectionError, FaultError, type OrielError } from '@oriel/sdk'
import { ConsoleClosed, ConsoleRefused } from '../errors.ts'
import type { Update } from '../rfb/client.ts'
import type { Session, SessionEvents } from './session.ts'

/** Opens one session. @param signal ends the attempt */
export type Connect = (events: SessionEvents, signal: AbortSignal) => Promise<Session>

export interface ConnectionEvents extends SessionEvents {
  /** The last event, after which the connection is not opened again. `undefined` after `close()`. */
  onEnd(error: OrielError | undefined): void
}

/** For how long attempts are begun after the end of a session. */
const RECONNECT_WINDOW_MS = 120_000
const FIRST_DELAY_MS = 500
const MAX_DELAY_MS = 10_000

export class Connection {
  readonly #connect: Connect
  readonly #events: ConnectionEvents
  readonly #reconnects: boolean
  readonly #closing = new AbortController()
  #session: Session | undefined
  #lost: OrielError | undefined

  constructor(connect: Connect, reconnects: boolean, events: ConnectionEvents) {
    this.#connect = connect
    this.#reconnects = reconnects
    this.#events = events
  }

  /** The open session, if there is one. */
  get session(): Session | undefined {
    return this.#session
  }

  /**
   * Why the last session ended, or the last attempt to open another failed, until the first update of the next one.
   */
  get lost(): OrielError | undefined {
    return this.#lost
  }

  /** Resolves once the first picture has come. @throws what the connecting function throws */
  async open(): Promise<void> {
    let isOpen = false
    let early: { readonly error: OrielError | undefined } | undefined
    const onEnd = (error: OrielError | undefined) => {
      if (isOpen) this.#lose(error)
      else early = { error }
    }
    const onUpdate = (update: Update) => {
      this.#lost = undefined
      this.#events.onUpdate(update)
    }
    this.#session = await this.#connect({ ...this.#events, onUpdate, onEnd }, this.#closing.signal)
    isOpen = true
    if (this.#closing.signal.aborted) this.#session.close()
    if (early) this.#lose(early.error)
  }

  close(): void {
    this.#closing.abort()
    this.#session?.close()
    this.#end(undefined)
  }

  #lose(error: OrielError | undefined): void {
    this.#session = undefined
    this.#lost = error
    if (error !== undefined && this.#reconnects && allowsAnother(error)) void this.#reopen(error)
    else this.#end(error)
  }

  async #reopen(cause: OrielError): Promise<void> {
    const until = performance.now() + RECONNECT_WINDOW_MS
    let last: unknown = cause
    for (let delayMs = FIRST_DELAY_MS; allowsAnother(last); delayMs = Math.min(2 * delayMs, MAX_DELAY_MS)) {
      await pause(Math.max(delayMs, retryAfterMs(last)), this.#closing.signal)
      if (this.#closing.signal.aborted) return
      if (performance.now() > until) break
      try {
        return await this.open()
      } catch (error) {
        last = error
        this.#lost = error as OrielError
      }
    }
    this.#end(last as OrielError)
  }

  #end(error: OrielError | undefined): void {
    this.#events.onEnd(error)
  }
}

/** Whether the same console may be opened again after this error: not after its permission is withdrawn. */
function allowsAnother(error: unknown): boolean {
  if (error instanceof ConsoleClosed) return error.remedy === 'reconnect'
  // The machine is stopped, or the API overloaded or broken.
  if (error instanceof FaultError) return error.status === 409 || error.status === 429 || error.status >= 500
  return error instanceof ConnectionError
}

function retryAfterMs(error: unknown): number {
  const isPatient = error instanceof ConsoleRefused || error instanceof FaultError
  return isPatient ? (error.retryAfterSeconds ?? 0) * 1000 : 0
}

const pause = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
  })
