/**
 * Checks the authority at the start, after a minute without an answer, and every few seconds while it cannot be used.
 * Without this, a wrong credential would show only when people fail to open consoles.
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
  /** Called after a good answer. */
  readonly onWell?: () => void
}

export class Watch implements AsyncDisposable {
  readonly #options: Required<WatchOptions>
  readonly #stopping = new AbortController()
  #log: Logger | undefined
  #running: Promise<void> | undefined
  readonly #first = Promise.withResolvers<void>()
  /** The time of the authority's last answer or failure. */
  #asOf = performance.now()
  #fault: { readonly diagnosis: Diagnosis; readonly cause: unknown; readonly isOther: boolean } | undefined
  #wake = Promise.withResolvers<void>()

  constructor({ idleMs = 60_000, retryMs = 5_000, onWell = () => {}, ...options }: WatchOptions) {
    this.#options = { idleMs, retryMs, onWell, ...options }
  }

  /** Checks now, and regularly from now on. Until the first call the authority counts as healthy. */
  start(log: Logger): void {
    this.#log = log
    this.#running ??= this.#run()
  }

  /**
   * Reports that the authority answered a client's look-up, and so is healthy. Ignored while another service answers in its
   * place: then only `verify`, whose answer is known, can prove the authority.
   */
  answered(): void {
    if (this.#fault?.isOther) return
    this.#well()
  }

  #well(): void {
    this.#asOf = performance.now()
    if (this.#fault) this.#log?.info('the authority can be used again')
    this.#fault = undefined
  }

  /** Reports that the authority cannot be used for any client. Ignored until the start. */
  failed(cause: unknown): void {
    if (!this.#running) return
    const diagnosis = this.#options.diagnose(cause)
    const isNews = this.#fault?.diagnosis.message !== diagnosis.message
    this.#asOf = performance.now()
    this.#fault = { diagnosis, cause, isOther: !diagnosis.isRefusal && isAnswer(cause) }
    const { path: key, message } = diagnosis
    if (isNews) this.#log?.error({ key, err: cause }, `the authority cannot be used: ${key}: ${message}`)
    this.#wake.resolve()
  }

  /** @throws ConfigError that names the key, while the authority cannot be used; the signal's reason once it aborts */
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
      await this.#ask(signal)
      this.#first.resolve()
      await this.#untilDue(signal)
    }
  }

  async #ask(signal: AbortSignal): Promise<void> {
    try {
      await this.#options.verify(signal)
      this.#well()
      this.#options.onWell()
    } catch (cause) {
      if (!signal.aborted) this.failed(cause)
    }
  }

  async #untilDue(signal: AbortSignal): Promise<void> {
    for (;;) {
      const { idleMs, retryMs } = this.#options
      const restMs = this.#asOf + (this.#fault ? retryMs : idleMs) - performance.now()
      if (restMs <= 0 || signal.aborted) return
      // If a client's look-up fails first, check sooner.
      this.#wake = Promise.withResolvers()
      await Promise.race([delay(restMs, undefined, { signal, ref: false }).catch(() => {}), this.#wake.promise])
    }
  }
}
