/** The timers that end a session: unanswered pings, idle, maximum duration, and the token's expiry. */
import type { WebSocket } from 'ws'
import type { Timing } from '../timing.ts'
import { after } from './after.ts'
import type { Session } from './session.ts'

/** The number of unanswered pings after which a client counts as lost. */
const MAX_UNANSWERED = 2

export interface SessionTimersOptions {
  readonly timing: Timing
  /** When the token expires. Absent if that must not end the session. */
  readonly expiresAt?: Date | undefined
  /** Stops the timers on disposal. */
  readonly resources: DisposableStack
}

/** Starts the session's timers. */
export function startSessionTimers(session: Session, client: WebSocket, options: SessionTimersOptions): void {
  const { timing, expiresAt, resources } = options
  const { pingIntervalMs, idleTimeoutMs, maxSessionMs } = timing
  if (pingIntervalMs > 0) resources.adopt(setInterval(pinger(session, client), pingIntervalMs), clearInterval)
  if (maxSessionMs > 0) resources.use(after(maxSessionMs, () => session.end({ reason: 'time_limit' })))
  if (expiresAt) resources.use(after(expiresAt.getTime() - Date.now(), () => session.end({ reason: 'token_expired' })))
  if (idleTimeoutMs > 0) resources.use(watchIdle(session, idleTimeoutMs))
}

/** Counts no pings while the relay is blocked: a pong may wait behind other bytes, and the relay has a deadline for that. */
function pinger(session: Session, client: WebSocket): () => void {
  let unanswered = 0
  client.on('pong', () => {
    unanswered = 0
  })
  return () => {
    if (session.relay?.blocked) unanswered = 0
    if (unanswered >= MAX_UNANSWERED)
      return session.end({ reason: 'client_lost', detail: `${unanswered} pings unanswered` })
    unanswered += 1
    client.ping()
  }
}

/** Ends an idle session, unless disposed. Reschedules the timer only when it fires, so that input costs no timer. */
function watchIdle(session: Session, idleTimeoutMs: number): Disposable {
  const openedMs = performance.now()
  let timer: Disposable
  const check = () => {
    const leftMs = (session.relay?.lastInputMs ?? openedMs) + idleTimeoutMs - performance.now()
    if (leftMs <= 0) session.end({ reason: 'idle' })
    else timer = after(Math.ceil(leftMs), check)
  }
  timer = after(idleTimeoutMs, check)
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() }
}
