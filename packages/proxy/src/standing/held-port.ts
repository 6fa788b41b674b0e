/**
 * One serial port that the proxy stays attached to. Its output fills the port's memory without any viewer, and the port is
 * opened again whenever its connection ends.
 */
import { deadline, within } from '@oriel/runtime'
import type { StandingPort } from '../authority/authority.ts'
import { type HypervisorSocket, LegFault, type SecuredLeg } from '../hypervisor/leg.ts'
import { RestartingLeg } from '../serial/restarting-leg.ts'
import { Backoff, type StandingTimes } from './backoff.ts'

/** How a standing port reaches its console. */
export interface PortAccess {
  /** Joins the console's shared leg, which `open` opens unless a viewer has. */
  join(open: (signal: AbortSignal) => Promise<SecuredLeg>, signal: AbortSignal): Promise<HypervisorSocket>
  /** Dials the console, confirms with the authority that it is the server's, and secures the leg. */
  open(signal: AbortSignal): Promise<SecuredLeg>
}

export interface HeldPortOptions {
  readonly port: StandingPort
  readonly access: PortAccess
  readonly times: StandingTimes
  readonly report: (fields: object, message: string) => void
}

export class HeldPort implements Disposable {
  readonly #options: HeldPortOptions
  readonly #leaving = new AbortController()
  #news = Promise.withResolvers<void>()
  #isAttached = false
  /** The last failure, which is reported once. */
  #failure: string | undefined

  constructor(options: HeldPortOptions) {
    this.#options = options
    void this.#run(this.#leaving.signal)
  }

  get port(): StandingPort {
    return this.#options.port
  }

  /** Whether the port is open. */
  get isAttached(): boolean {
    return this.#isAttached
  }

  /** Tries at once, because the authority has news of its servers. */
  wake(): void {
    this.#news.resolve()
  }

  /** Leaves the port. Viewers keep it until its connection ends. */
  [Symbol.dispose](): void {
    this.#leaving.abort(new Error('the proxy no longer holds the port'))
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { times } = this.#options
    let backoff = new Backoff(times)
    while (!signal.aborted) {
      const end = await this.#attach(signal)
      this.#isAttached = false
      if (end?.cause instanceof LegFault) await this.#pause(times.slowPauseMs, signal)
      else if (end || (await this.#pause(backoff.next(), signal))) backoff = new Backoff(times)
    }
  }

  /** Stays attached until the connection ends. Returns `undefined` if the port could not be opened. */
  async #attach(signal: AbortSignal): Promise<{ readonly cause: Error | undefined } | undefined> {
    try {
      using leg = await this.#options.access.join((until) => this.#openRestarting(until), signal)
      this.#opened()
      keepFlowing(leg)
      const cause = await within(signal, leg.closed)
      this.#report('a serial port has closed', cause)
      return { cause }
    } catch (err) {
      if (!signal.aborted) this.#failed(err)
      return undefined
    }
  }

  async #openRestarting(until: AbortSignal): Promise<SecuredLeg> {
    const { hypervisor, rest } = await this.#options.access.open(until)
    return { hypervisor: new RestartingLeg(hypervisor, () => this.#reopen()), rest }
  }

  /** @throws Error if the machine does not restart in time, or the port is no longer the proxy's to hold */
  async #reopen(): Promise<SecuredLeg> {
    const { access, times } = this.#options
    this.#isAttached = false
    this.#report('a serial port has closed')
    using limit = deadline(times.restartMs, this.#leaving.signal)
    const backoff = new Backoff(times)
    for (;;) {
      limit.signal.throwIfAborted()
      try {
        const opened = await access.open(limit.signal)
        this.#opened()
        return opened
      } catch (err) {
        this.#failed(err)
      }
      await this.#pause(backoff.next(), limit.signal)
    }
  }

  #opened(): void {
    if (this.#isAttached) return
    this.#isAttached = true
    this.#failure = undefined
    this.#report('attached to a serial port')
  }

  #failed(err: unknown): void {
    const reason = err instanceof Error ? err.message : String(err)
    if (reason === this.#failure) return
    this.#failure = reason
    this.#report('a serial port cannot be opened, trying again', reason)
  }

  /** Returns whether `wake` ended the pause. */
  async #pause(ms: number, signal: AbortSignal): Promise<boolean> {
    using limit = deadline(ms, signal)
    const isWoken = await within(limit.signal, this.#news.promise).then(
      () => true,
      () => false,
    )
    this.#news = Promise.withResolvers()
    return isWoken
  }

  #report(message: string, reason?: unknown): void {
    const { report, port } = this.#options
    const { instance, host, port: number } = port.admission
    report({ instance, host, port: number, ...(reason === undefined ? {} : { reason }) }, message)
  }
}

/** Takes the output, which the memory of the port keeps, so that it flows without a viewer. */
function keepFlowing(leg: HypervisorSocket): void {
  leg.take((bytes) => {
    leg.giveBack(bytes)
    return true
  })
}
