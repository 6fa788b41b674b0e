/** The timers that end a native session: idle, maximum duration, the token's expiry, and a viewer that does not read. */
import { after, MAX_TIMER_MS } from '../../session/after.ts'
import type { Timing } from '../../timing.ts'
import type { SpiceSession } from './session.ts'

/** Starts the session's timers, which stop when it ends. Pass `expiresAt` only if the token's expiry must end it. */
export function startTimers(session: SpiceSession, timing: Timing, expiresAt?: Date): void {
  const { idleTimeoutMs, maxSessionMs, stalledAfterMs } = timing
  const deadlines = [
    maxSessionMs > 0 && after(maxSessionMs, () => session.end({ reason: 'time_limit' })),
    expiresAt && after(expiresAt.getTime() - Date.now(), () => session.end({ reason: 'token_expired' })),
  ]
  const checks = [
    idleTimeoutMs > 0 && setInterval(() => endIdle(session, idleTimeoutMs), intervalFor(idleTimeoutMs)),
    setInterval(() => endStalled(session, stalledAfterMs), intervalFor(stalledAfterMs)),
  ]
  session.ended.then(() => {
    for (const deadline of deadlines) if (deadline) deadline[Symbol.dispose]()
    for (const check of checks) if (check) clearInterval(check)
  })
}

/** The interval for checks of a timeout: a tenth of it, so that the session ends at most 10 % late. */
const intervalFor = (timeoutMs: number) => Math.min(Math.max(Math.floor(timeoutMs / 10), 50), MAX_TIMER_MS)

function endIdle(session: SpiceSession, idleTimeoutMs: number): void {
  if (performance.now() - session.lastInputMs >= idleTimeoutMs) session.end({ reason: 'idle' })
}

function endStalled(session: SpiceSession, stalledAfterMs: number): void {
  const now = performance.now()
  const stalled = [...session.channels].find(({ blockedSinceMs }) => now - (blockedSinceMs ?? now) >= stalledAfterMs)
  if (stalled) session.end({ reason: 'client_stalled', detail: `channel ${stalled.name}:${stalled.channelId}` })
}
