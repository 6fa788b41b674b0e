/** The heartbeat: tells the authority of the ledger every few seconds, and ends what it wants to be ended. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ExtensionResponse } from '@oriel/contract'
import { ConfigError, type Logger, within } from '@oriel/runtime'
import type { Diagnose, Diagnosis } from './diagnose.ts'
import type { Ledger, LedgerReport } from './ledger.ts'

export interface BeatOptions {
  readonly ledger: Ledger
  /** Tells the authority; rejects when it does not answer. */
  readonly send: (report: LedgerReport, signal: AbortSignal) => Promise<ExtensionResponse<'beat'>>
  /** How long the last beat may take, when the proxy stops. */
  readonly lastBeatTimeoutMs: number
  readonly diagnose: Diagnose
  readonly log: Logger
}

export interface Beats extends AsyncDisposable {
  /** @throws ConfigError that names the key, if the last beat failed; the signal's reason once it aborts */
  check(signal?: AbortSignal): Promise<void>
}

/** Until the authority says how often it wants to hear. */
const FIRST_BEAT_MS = 5_000
/** Bounds for the interval that the authority asks for: one of 0, or above the maximum of a timer, would beat without a pause. */
const MIN_BEAT_MS = 1_000
const MAX_BEAT_MS = 3_600_000
/** Each wait is shorter by up to this share, so that many proxies do not beat as one. */
const JITTER = 0.2

/** Beats now and from then on. Disposal beats once more, for what ended since, and gives that up after its deadline. */
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

  // An authority that is away ends nothing: consoles go on, and what ended meanwhile is told when it is back.
  async function beat(signal: AbortSignal): Promise<void> {
    const report = ledger.report()
    try {
      const answer = await send(report, signal)
      ledger.acknowledge(report)
      ledger.end(answer.end)
      beatMs = Math.min(Math.max(answer.beat_seconds * 1000, MIN_BEAT_MS), MAX_BEAT_MS)
      if (silentSince) log.info({ silentSince, ended: report.ended.length }, 'the authority hears of sessions again')
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
    else log.warn({ key, err, open }, 'the authority does not hear of sessions')
  }
}
