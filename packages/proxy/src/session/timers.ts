/** What ends a session by the clock: unanswered pings, no input for too long, its greatest length, the token's expiry. */
import type { WebSocket } from 'ws'
import type { Timing } from '../timing.ts'
import { after } from './after.ts'
import type { Session } from './session.ts'

/** Pings that may stay unanswered. */
const MAX_UNANSWERED = 2

/** Starts the timers of `session`; they stop when it ends. `expiresAt` is given when the token's expiry counts. */
export function startSessionTimers(session: Session, client: WebSocket, timing: Timing, expiresAt?: Date): void {
  const { pingIntervalMs, idleTimeoutMs, maxSessionMs } = timing
  const pings = pingIntervalMs > 0 ? setInterval(pinger(session, client), pingIntervalMs) : undefined
  const ends = [
    maxSessionMs > 0 && after(maxSessionMs, () => session.end({ reason: 'time_limit' })),
    expiresAt && after(expiresAt.getTime() - Date.now(), () => session.end({ reason: 'token_expired' })),
  ]
  if (idleTimeoutMs > 0) watchIdle(session, idleTimeoutMs)
  stopAtEnd(session, () => {
    clearInterval(pings)
    for (const end of ends) if (end) end[Symbol.dispose]()
  })
}

const stopAtEnd = (session: Session, stop: () => void) => session.signal.addEventListener('abort', stop, { once: true })

/** While either side is blocked, a pong may be stuck behind what waits; the relay's own deadline is in charge then. */
function pinger(session: Session, client: WebSocket): () => void {
  let unanswered = 0
  client.on('pong', () => {
    unanswered = 0
  })
  return () => {
    if (session.relay?.blocked) unanswered = 0
    if (unanswered >= MAX_UNANSWERED) return session.end({ reason: 'client_lost', detail: 'pings unanswered' })
    unanswered += 1
    client.ping()
  }
}

/** Looks again when the present idle span would be too long, so input costs no timer. */
function watchIdle(session: Session, idleTimeoutMs: number): void {
  const openedMs = performance.now()
  let timer: Disposable
  const look = () => {
    const leftMs = (session.relay?.lastInputMs ?? openedMs) + idleTimeoutMs - performance.now()
    if (leftMs <= 0) session.end({ reason: 'idle' })
    else timer = after(Math.ceil(leftMs), look)
  }
  timer = after(idleTimeoutMs, look)
  stopAtEnd(session, () => timer[Symbol.dispose]())
}
