/** The heartbeat: sends the ledger to the authority every few seconds, and ends the sessions that it names. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ExtensionResponse } from '@oriel/contract'
import { ConfigError, type Logger, within } from '@oriel/runtime'
import type { Diagnose, Diagnosis } from './diagnose.ts'
import type { Ledger, LedgerReport } from './ledger.ts'

export interface BeatOptions {
  readonly ledger: Ledger
  /** Sends a report to the authority. Rejects if it does not answer. */
  readonly send: (report: LedgerReport, signal: AbortSignal) => Promise<ExtensionResponse<'beat'>>
  /** The deadline of the last beat, when the proxy stops. */
  readonly lastBeatTimeoutMs: number
  readonly diagnose: Diagnose
  readonly log: Logger
}

export interface Beats extends AsyncDisposable {
  /** @throws ConfigError that names the key, if the last beat failed; the signal's reason once it aborts */
  check(signal?: AbortSignal): Promise<void>
}

/** The interval until the authority has returned one. */
const FIRST_BEAT_MS = 5_000
/** Bounds for the authority's interval: 0, or a value above the maximum of a timer, would make it beat without a pause. */
const MIN_BEAT_MS = 1_000
const MAX_BEAT_MS = 3_600_000
/** Each wait is shorter by up to this share, so that many proxies do not beat at the same time. */
const JITTER = 0.2

/** Starts beating. Disposal beats once more, to report sessions that ended since, and aborts that beat at its deadline. */
export function startBeats({ ledger, send, lastBeatTimeoutMs, diagnose, log }: BeatOptions): Beats {
  const stopping = new AbortController()
  let beatMs = FIRST_BEAT_MS
  let silentSince: Date | undefined
  let fault: { readonly diagnosis: Diagnosis; readonly cause: unknown } | undefined
  const first = Promise.withResolvers<void>()
  const running = run()
  return {
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
      await delay(beatMs * (1 - JITTER * Math.random()), undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  // While the authority is unreachable, consoles stay open. Sessions that end meanwhile are reported when it is back.
  async function beat(signal: AbortSignal): Promise<void> {
    const report = ledger.report()
    try {
      const answer = await send(report, signal)
      ledger.acknowledge(report)
      ledger.end(answer.end)
      beatMs = Math.min(Math.max(answer.beat_seconds * 1000, MIN_BEAT_MS), MAX_BEAT_MS)
      if (silentSince)
        log.info({ silentSince, ended: report.ended.length }, 'sessions are reported to the authority again')
      silentSince = undefined
      fault = undefined
    } catch (err) {
      if (signal === stopping.signal && signal.aborted) return
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
