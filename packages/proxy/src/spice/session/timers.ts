/** What ends a native session by the clock: no input, its greatest length, the token's expiry, a viewer that reads nothing. */
import { after, MAX_TIMER_MS } from '../../session/after.ts'
import type { Timing } from '../../timing.ts'
import type { SpiceSession } from './session.ts'

/** Starts the timers of `session`; they stop when it ends. `expiresAt` is given when the token's expiry counts. */
export function startTimers(session: SpiceSession, timing: Timing, expiresAt?: Date): void {
  const { idleTimeoutMs, maxSessionMs, stalledAfterMs } = timing
  const ends = [
    maxSessionMs > 0 && after(maxSessionMs, () => session.end({ reason: 'time_limit' })),
    expiresAt && after(expiresAt.getTime() - Date.now(), () => session.end({ reason: 'token_expired' })),
  ]
  const looks = [
    idleTimeoutMs > 0 && setInterval(() => endIdle(session, idleTimeoutMs), lookEvery(idleTimeoutMs)),
    setInterval(() => endStalled(session, stalledAfterMs), lookEvery(stalledAfterMs)),
  ]
  session.ended.then(() => {
    for (const end of ends) if (end) end[Symbol.dispose]()
    for (const look of looks) if (look) clearInterval(look)
  })
}

/** Often enough to be late by a tenth at most. */
const lookEvery = (ms: number) => Math.min(Math.max(Math.floor(ms / 10), 50), MAX_TIMER_MS)

function endIdle(session: SpiceSession, idleTimeoutMs: number): void {
  if (performance.now() - session.lastInputMs >= idleTimeoutMs) session.end({ reason: 'idle' })
}

function endStalled(session: SpiceSession, stalledAfterMs: number): void {
  const now = performance.now()
  const stalled = [...session.channels].find(({ blockedSinceMs }) => now - (blockedSinceMs ?? now) >= stalledAfterMs)
  if (stalled) session.end({ reason: 'client_stalled', detail: `channel ${stalled.name}:${stalled.channelId}` })
}
