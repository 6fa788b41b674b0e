/** The heartbeat: sends the ledger to the authority every few seconds, and ends the sessions that it names. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ExtensionResponse } from '@oriel/contract'
import { ConfigError, type Logger, within } from '@oriel/runtime'
import type { Diagnose, Diagnosis } from './diagnose.ts'
import type { Ledger, LedgerReport } from './ledger.ts'

export interface BeatOptions {
  readonly ledger: Ledger
  /** Called with the ids of the holds of ports that other proxies have taken over, after their sessions have ended. */
  readonly onLostHolds?: (ids: readonly unknown[]) => void
  /** Called while sessions at other proxies have consoles of this one open. */
  readonly onSharedConsoles?: () => void
  /** Sends a report to the authority. Rejects if it does not answer. */
  readonly send: (report: LedgerReport, signal: AbortSignal) => Promise<ExtensionResponse<'beat'>>
  /** The deadline of the last beat, when the proxy stops. */
  readonly lastBeatTimeoutMs: number
  readonly diagnose: Diagnose
  readonly log: Logger
}

export interface Beats extends AsyncDisposable {
  /** The longest pause between two reports, as the authority wants it. */
  readonly intervalMs: number
  /** When the last report that the authority has acknowledged was sent, by `performance.now()`. */
  readonly reportedMs: number
  /** Reports before the interval is over, because a client waits for the authority to know of an end. */
  soon(): void
  /** @throws ConfigError that names the key, if the last beat failed; the signal's reason once it aborts */
  check(signal?: AbortSignal): Promise<void>
}

/** The interval until the authority has returned one. */
const FIRST_BEAT_MS = 5_000
/** Bounds for the authority's interval: 0, or a value above the maximum of a timer, would make it beat without a pause. */
const MIN_BEAT_MS = 1_000
const MAX_BEAT_MS = 3_600_000
/** The shortest pause before a beat that a client waits for, so that clients cannot make the proxy beat without a pause. */
const SOON_MS = 250
/** Each wait is shorter by up to this share, so that many proxies do not beat at the same time. */
const JITTER = 0.2

/** Starts beating. Disposal beats once more, to report sessions that ended since, and aborts that beat at its deadline. */
export function startBeats(options: BeatOptions): Beats {
  const { ledger, onLostHolds, onSharedConsoles, send, lastBeatTimeoutMs, diagnose, log } = options
  const stopping = new AbortController()
  let beatMs = FIRST_BEAT_MS
  let reportedMs = Number.NEGATIVE_INFINITY
  let silentSince: Date | undefined
  let fault: { readonly diagnosis: Diagnosis; readonly cause: unknown } | undefined
  const first = Promise.withResolvers<void>()
  let asked = Promise.withResolvers<void>()
  const running = run()
  return {
    get intervalMs() {
      return beatMs
    },
    get reportedMs() {
      return reportedMs
    },
    soon: () => asked.resolve(),
    async check(signal) {
      await (signal ? within(signal, first.promise) : first.promise)
      if (fault) throw new ConfigError([fault.diagnosis], { cause: fault.cause })
    },
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await running
      await beat(AbortSignal.timeout(lastBeatTimeoutMs))
    },
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await beat(stopping.signal)
      await pause(beatMs * (1 - JITTER * Math.random()))
    }
  }

  /** Waits for the interval, or until a beat is asked for. */
  async function pause(intervalMs: number): Promise<void> {
    const elapsed = new AbortController()
    const signal = AbortSignal.any([stopping.signal, elapsed.signal])
    const wait = (ms: number) => delay(ms, undefined, { signal }).catch(() => {})
    await Promise.race([wait(intervalMs), asked.promise.then(() => wait(SOON_MS))])
    elapsed.abort()
    asked = Promise.withResolvers()
  }

  // While the authority is unreachable, consoles stay open. Sessions that end meanwhile are reported when it is back.
  async function beat(signal: AbortSignal): Promise<void> {
    const report = ledger.report()
    const sentMs = performance.now()
    try {
      const answer = await send(report, signal)
      reportedMs = sentMs
      ledger.acknowledge(report)
      ledger.reportControl(answer.takes_control === true)
      ledger.end(answer.end)
      onLostHolds?.(answer.release ?? [])
      if (answer.shares_consoles === true) onSharedConsoles?.()
      beatMs = Math.min(Math.max(answer.beat_seconds * 1000, MIN_BEAT_MS), MAX_BEAT_MS)
      if (silentSince)
        log.info({ silentSince, ended: report.ended.length }, 'sessions are reported to the authority again')
      silentSince = undefined
      fault = undefined
    } catch (err) {
      if (signal === stopping.signal && signal.aborted) return
      // An older replica of the API may have refused the report for them.
      ledger.reportControl(undefined)
      const diagnosis = diagnose(err)
      if (fault?.diagnosis.message !== diagnosis.message) warn(diagnosis, err, report.open.length)
      fault = { diagnosis, cause: err }
      silentSince ??= new Date()
    } finally {
      first.resolve()
    }
  }

  function warn({ path: key, message, isRefusal }: Diagnosis, err: unknown, open: number): void {
    if (isRefusal) log.error({ key, err, open }, `the authority cannot be used: ${key}: ${message}`)
    else log.warn({ key, err, open }, 'sessions cannot be reported to the authority')
  }
}
