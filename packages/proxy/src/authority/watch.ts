/**
 * Checks that the authority can be reached and accepts the proxy's credential: when the proxy starts, a minute after the last
 * answer, and every few seconds while it fails. Without this, a wrong credential would show only when people fail to open
 * consoles.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ConfigError, type Logger, within } from '@oriel/runtime'
import { type Diagnose, type Diagnosis, isAnswer } from './diagnose.ts'

export interface WatchTimes {
  /** How long after the authority's last answer it is checked, milliseconds. Default: 60,000. */
  readonly idleMs?: number
  /** The interval of checks while it cannot be used, milliseconds. Default: 5,000. */
  readonly retryMs?: number
}

export interface WatchOptions extends WatchTimes {
  /** Signs in and makes a request with a known answer. Rejects if the authority cannot be used. */
  readonly verify: (signal: AbortSignal) => Promise<void>
  readonly diagnose: Diagnose
  /** Called each time `verify` succeeds. */
  readonly onVerified?: () => void
}

export class Watch implements AsyncDisposable {
  readonly #options: Required<WatchOptions>
  readonly #stopping = new AbortController()
  #log: Logger | undefined
  #running: Promise<void> | undefined
  readonly #first = Promise.withResolvers<void>()
  /** The time of the authority's last answer or failure. */
  #lastResultMs = performance.now()
  #fault: { readonly diagnosis: Diagnosis; readonly cause: unknown; readonly isWrongService: boolean } | undefined
  #wake = Promise.withResolvers<void>()

  constructor({ idleMs = 60_000, retryMs = 5_000, onVerified = () => {}, ...options }: WatchOptions) {
    this.#options = { idleMs, retryMs, onVerified, ...options }
  }

  /** Checks now, and regularly from now on. Until the first call the authority counts as healthy. */
  start(log: Logger): void {
    this.#log = log
    this.#running ??= this.#run()
  }

  /**
   * Call when the authority answered a client's look-up, which shows that it is healthy. Ignored if the last check found
   * another service at this address: its answers prove nothing, so only `verify`, which expects a certain one, ends the fault.
   */
  answered(): void {
    if (this.#fault?.isWrongService) return
    this.#markHealthy()
  }

  #markHealthy(): void {
    this.#lastResultMs = performance.now()
    if (this.#fault) this.#log?.info('the authority can be used again')
    this.#fault = undefined
  }

  /** Call when a look-up failed in a way that concerns every client, such as a refused credential. Ignored before `start`. */
  failed(cause: unknown): void {
    if (!this.#running) return
    const diagnosis = this.#options.diagnose(cause)
    const isNewMessage = this.#fault?.diagnosis.message !== diagnosis.message
    this.#lastResultMs = performance.now()
    this.#fault = { diagnosis, cause, isWrongService: !diagnosis.isRefusal && isAnswer(cause) }
    const { path: key, message } = diagnosis
    if (isNewMessage) this.#log?.error({ key, err: cause }, `the authority cannot be used: ${key}: ${message}`)
    this.#wake.resolve()
  }

  /**
   * Waits for the first check.
   * @throws ConfigError that names the configuration key, if the authority cannot be used; the signal's reason once it aborts
   */
  async check(signal?: AbortSignal): Promise<void> {
    if (this.#running) await (signal ? within(signal, this.#first.promise) : this.#first.promise)
    if (this.#fault) throw new ConfigError([this.#fault.diagnosis], { cause: this.#fault.cause })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('the proxy is closing'))
    this.#first.resolve()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      await this.#verifyOnce(signal)
      this.#first.resolve()
      await this.#untilDue(signal)
    }
  }

  async #verifyOnce(signal: AbortSignal): Promise<void> {
    try {
      await this.#options.verify(signal)
      this.#markHealthy()
      this.#options.onVerified()
    } catch (cause) {
      if (!signal.aborted) this.failed(cause)
    }
  }

  async #untilDue(signal: AbortSignal): Promise<void> {
    for (;;) {
      const { idleMs, retryMs } = this.#options
      const restMs = this.#lastResultMs + (this.#fault ? retryMs : idleMs) - performance.now()
      if (restMs <= 0 || signal.aborted) return
      // A failed look-up ends this wait, because the shorter interval then applies.
      this.#wake = Promise.withResolvers()
      await Promise.race([delay(restMs, undefined, { signal, ref: false }).catch(() => {}), this.#wake.promise])
    }
  }
}
