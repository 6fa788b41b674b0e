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

/** Beats that may stay away before a proxy counts as lost. */
const MISSED_BEATS = 3
const DAY_MS = 86_400_000
/** What ended is forgotten in days; an hour more does not matter. */
const FORGET_EVERY_MS = 3_600_000

/** How long a proxy may be silent, in milliseconds. */
export const lostAfterMs = (beatSeconds: number) => MISSED_BEATS * beatSeconds * 1000

/** Looks now and at every beat. Disposal waits for a look in progress. */
export function startKeeper(sessions: SessionStore, options: KeeperOptions): AsyncDisposable {
  return startPeriodic(createKeeper(sessions, options), options.beatSeconds * 1000)
}

/**
 * One look of the keeper. A proxy's silence counts only while the API and its database were available: during an outage no
 * proxy could report, so none is considered lost.
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
      // An outage lasts for many beats, and its beginning is enough to be warned of.
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
