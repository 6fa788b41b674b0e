/** The keeper: ends the sessions of proxies that stopped reporting, and deletes records of sessions that ended long ago. */
import { type Logger, startPeriodic } from '@oriel/runtime'
import { auditTo } from './audit.ts'
import type { SessionStore } from './store.ts'

export interface KeeperOptions {
  readonly beatSeconds: number
  readonly retentionDays: number
  readonly log: Logger
  /** Milliseconds since any moment. Default: the monotonic clock. */
  readonly now?: () => number
}

/** The number of missed beats after which a proxy counts as lost. */
const MISSED_BEATS = 3
const DAY_MS = 86_400_000
/** Records are kept for days, so deleting them up to an hour late does not matter. */
const FORGET_EVERY_MS = 3_600_000

/** How long a proxy may be silent, in milliseconds. */
export const lostAfterMs = (beatSeconds: number) => MISSED_BEATS * beatSeconds * 1000

/** Runs the keeper now and at every beat interval. Disposal waits for a run in progress. */
export function startKeeper(sessions: SessionStore, options: KeeperOptions): AsyncDisposable {
  return startPeriodic(createKeeper(sessions, options), options.beatSeconds * 1000)
}

/**
 * Creates the function for one run of the keeper. A proxy's silence only counts while the API and its database were available:
 * during an outage no proxy could report, so none is considered lost.
 */
export function createKeeper(sessions: SessionStore, options: KeeperOptions): () => Promise<void> {
  const { beatSeconds, retentionDays, log, now = () => performance.now() } = options
  const graceMs = lostAfterMs(beatSeconds)
  let listeningSince = now()
  let lookedAt = listeningSince
  let forgottenAt = Number.NEGATIVE_INFINITY
  let failed = false
  return async function look() {
    if (now() - lookedAt > graceMs) listeningSince = now()
    lookedAt = now()
    try {
      await endLost()
      if (now() - forgottenAt >= FORGET_EVERY_MS) await forget()
      failed = false
    } catch (err) {
      listeningSince = now()
      // Warns only at the beginning of an outage, which lasts for many beats.
      log[failed ? 'debug' : 'warn']({ err }, 'lost sessions could not be looked for')
      failed = true
    }
  }

  async function endLost(): Promise<void> {
    if (now() - listeningSince < graceMs) return sessions.check()
    const lost = await sessions.endLost(graceMs)
    for (const session of lost) auditTo(log).ended(session)
  }

  async function forget(): Promise<void> {
    await sessions.forget(retentionDays * DAY_MS)
    forgottenAt = now()
  }
}
