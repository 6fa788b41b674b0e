/** The serial ports that the proxy stays attached to, as its authority names them. */
import { isDeepStrictEqual } from 'node:util'
import { deadline, type Logger, within } from '@oriel/runtime'
import { RateLimit } from '../admit/rate-limit.ts'
import type { StandingPort, StandingPortDirectory, WantedLog } from '../authority/authority.ts'
import { STANDING_TIMES, type StandingTimes } from './backoff.ts'
import { HeldPort, type PortAccess } from './held-port.ts'

export interface StandingPortsOptions {
  readonly directory: StandingPortDirectory
  readonly maxPorts: number
  readonly accessTo: (port: StandingPort) => PortAccess
  /** Returns the last output of a port, up to `maxBytes`; `undefined` if the port was never open. */
  readonly outputOf: (port: StandingPort, maxBytes: number) => Buffer | undefined
  /** Forgets the output of a port whose server has another owner. */
  readonly forget: (port: StandingPort) => void
  /** Deadline of the request that gives the ports to other proxies when this one stops. */
  readonly releaseTimeoutMs: number
  readonly log: Logger
  /** Default: those of `backoff.ts`. */
  readonly times?: Partial<StandingTimes> | undefined
}

/** The pause after an answer: replicas of an API may disagree, and would answer without a wait for ever. */
const PAUSE_MS = 100
/** As much as the authority accepts. */
const MAX_LOG_BYTES = 80 * 1024
/** The pauses after failed requests: the first one, which doubles, and the longest. */
const RETRY_MS = 1_000
const MAX_RETRY_MS = 30_000
/** A host with a thousand guests must not fill the log when it starts. */
const LOGGED_PER_MINUTE = 60

export class StandingSerialPorts implements AsyncDisposable {
  readonly #options: StandingPortsOptions
  readonly #stopping = new AbortController()
  readonly #ports = new Map<string, HeldPort>()
  readonly #logged = new RateLimit({ perMinute: LOGGED_PER_MINUTE })
  readonly #running: Promise<void>
  #isOverLimit = false

  /** Begins to ask the authority. */
  constructor(options: StandingPortsOptions) {
    this.#options = options
    this.#running = this.#run(this.#stopping.signal)
  }

  /** The numbers of ports that are open, and of those that are not. */
  get counts(): { readonly attached: number; readonly detached: number } {
    const attached = [...this.#ports.values()].filter(({ isAttached }) => isAttached).length
    return { attached, detached: this.#ports.size - attached }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('the proxy is closing'))
    for (const port of this.#ports.values()) port[Symbol.dispose]()
    this.#ports.clear()
    await this.#running
    await this.#release()
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { directory } = this.#options
    let version: string | undefined
    let retryMs = RETRY_MS
    while (!signal.aborted) {
      try {
        const next = await directory.awaitPorts(version, signal)
        if (next.version !== version) this.#apply(next.ports)
        version = next.version
        this.#reportLogs(next.wantedLogs, signal)
        this.#answered(retryMs > RETRY_MS)
        retryMs = RETRY_MS
        await pause(PAUSE_MS, signal)
      } catch (err) {
        if (signal.aborted) return
        this.#failed(err, retryMs > RETRY_MS)
        await pause(retryMs, signal)
        retryMs = Math.min(retryMs * 2, MAX_RETRY_MS)
      }
    }
  }

  #apply(ports: readonly StandingPort[]): void {
    const { maxPorts } = this.#options
    this.#warnOf(ports.length)
    const wanted = new Map(ports.slice(0, maxPorts).map((port) => [port.admission.instance, port]))
    for (const [instance, held] of this.#ports) if (!isSame(held.port, wanted.get(instance))) this.#leave(held, wanted)
    for (const [instance, port] of wanted) {
      const held = this.#ports.get(instance)
      if (held) held.wake()
      else this.#ports.set(instance, this.#hold(port))
    }
  }

  /** Without awaiting the reports: another port may change meanwhile. */
  #reportLogs(wanted: readonly WantedLog[], signal: AbortSignal): void {
    const { directory, outputOf, log } = this.#options
    for (const each of wanted) {
      const port = this.#ports.get(each.instance)?.port
      const output = port && outputOf(port, MAX_LOG_BYTES)
      if (!output) continue
      directory
        .report(each, output, signal)
        .catch((err) => log.debug({ err, instance: each.instance }, 'the output of a port could not be reported'))
    }
  }

  #leave(held: HeldPort, wanted: ReadonlyMap<string, StandingPort>): void {
    const { instance } = held.port.admission
    held[Symbol.dispose]()
    this.#ports.delete(instance)
    const next = wanted.get(instance)
    if (next && next.projectId !== held.port.projectId) this.#options.forget(held.port)
  }

  #hold(port: StandingPort): HeldPort {
    const times = { ...STANDING_TIMES, ...this.#options.times }
    const report = (fields: object, message: string) => {
      const level = this.#logged.take('') ? 'debug' : 'info'
      this.#options.log[level](fields, message)
    }
    return new HeldPort({ port, access: this.#options.accessTo(port), times, report })
  }

  #warnOf(ports: number): void {
    const { maxPorts, log } = this.#options
    const isOver = ports > maxPorts
    if (isOver && !this.#isOverLimit)
      log.warn({ ports, limit: maxPorts }, 'consoles.serial.standing_ports is reached: the other ports are not held')
    this.#isOverLimit = isOver
  }

  #failed(err: unknown, isRepeated: boolean): void {
    const message = 'the authority does not say which serial ports to hold; those that are held stay'
    this.#options.log[isRepeated ? 'debug' : 'warn']({ err }, message)
  }

  #answered(hadFailed: boolean): void {
    if (hadFailed) this.#options.log.info('the authority says again which serial ports to hold')
  }

  async #release(): Promise<void> {
    using limit = deadline(this.#options.releaseTimeoutMs)
    try {
      await within(limit.signal, this.#options.directory.release(limit.signal))
    } catch (err) {
      this.#options.log.debug({ err }, 'the serial ports could not be given to other proxies, which take them later')
    }
  }
}

/** Compares what the proxy dials and who owns it. The name is only shown. */
function isSame(held: StandingPort, next: StandingPort | undefined): boolean {
  return next !== undefined && isDeepStrictEqual(keyOf(held), keyOf(next))
}

const keyOf = ({ projectId, admission: { host, port } }: StandingPort) => ({ projectId, host, port })

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  using limit = deadline(ms, signal)
  await within(limit.signal, new Promise<never>(() => {})).catch(() => {})
}
