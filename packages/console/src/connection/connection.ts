/** The connection of a console, which is opened again after an end that allows it. */
import { ConnectionError, FaultError, type OrielError } from '@oriel/sdk'
import { ConsoleClosed, ConsoleRefused } from '../errors.ts'

/** One session of a console. */
export interface Closable {
  close(): void
}

export interface Ending {
  /** The last event. `undefined` after `close()`. */
  onEnd(error: OrielError | undefined): void
}

/** Opens one session. @param signal ends the attempt */
export type Connect<Session extends Closable, Events extends Ending> = (
  events: Events,
  signal: AbortSignal,
) => Promise<Session>

/** For how long attempts are begun after the end of a session, by default. */
export const RECONNECT_WINDOW_MS = 120_000
const FIRST_DELAY_MS = 500
const MAX_DELAY_MS = 10_000

export class Connection<Session extends Closable, Events extends Ending> {
  readonly #connect: Connect<Session, Events>
  readonly #events: Events
  readonly #windowMs: number
  readonly #closing = new AbortController()
  #session: Session | undefined
  #lost: OrielError | undefined

  /**
   * @param windowMs for how long attempts are begun after the end of a session; 0: it is not opened again
   * @param events get the events of every session, and `onEnd` once, after the last one
   */
  constructor(connect: Connect<Session, Events>, windowMs: number, events: Events) {
    this.#connect = connect
    this.#windowMs = windowMs
    this.#events = events
  }

  /** The open session, if there is one. */
  get session(): Session | undefined {
    return this.#session
  }

  /** Why the last session ended, or the last attempt to open another failed, until {@link Connection.recover}. */
  get lost(): OrielError | undefined {
    return this.#lost
  }

  /** Notes that the output of the machine arrives again. */
  recover(): void {
    this.#lost = undefined
  }

  /** Resolves once the first session is open. @throws the error of `connect` */
  async open(): Promise<void> {
    let isOpen = false
    let early: { readonly error: OrielError | undefined } | undefined
    const onEnd = (error: OrielError | undefined) => {
      if (isOpen) this.#lose(error)
      else early = { error }
    }
    this.#session = await this.#connect({ ...this.#events, onEnd }, this.#closing.signal)
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
    if (error !== undefined && this.#windowMs > 0 && allowsAnother(error)) void this.#reopen(error)
    else this.#end(error)
  }

  async #reopen(cause: OrielError): Promise<void> {
    const until = performance.now() + this.#windowMs
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
