/** The timers that end a session: unanswered pings, idle, maximum duration, and the token's expiry. */
import type { WebSocket } from 'ws'
import type { Timing } from '../timing.ts'
import { after } from './after.ts'
import type { Session } from './session.ts'

/** The number of unanswered pings after which a client counts as lost. */
const MAX_UNANSWERED = 2

/** Starts the session's timers, which stop when it ends. Pass `expiresAt` only if the token's expiry must end it. */
export function startSessionTimers(session: Session, client: WebSocket, timing: Timing, expiresAt?: Date): void {
  const { pingIntervalMs, idleTimeoutMs, maxSessionMs } = timing
  const pings = pingIntervalMs > 0 ? setInterval(pinger(session, client), pingIntervalMs) : undefined
  const deadlines = [
    maxSessionMs > 0 && after(maxSessionMs, () => session.end({ reason: 'time_limit' })),
    expiresAt && after(expiresAt.getTime() - Date.now(), () => session.end({ reason: 'token_expired' })),
  ]
  if (idleTimeoutMs > 0) watchIdle(session, idleTimeoutMs)
  stopAtEnd(session, () => {
    clearInterval(pings)
    for (const deadline of deadlines) if (deadline) deadline[Symbol.dispose]()
  })
}

const stopAtEnd = (session: Session, stop: () => void) => session.signal.addEventListener('abort', stop, { once: true })

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

/** Ends an idle session. Reschedules the timer only when it fires, so that input costs no timer. */
function watchIdle(session: Session, idleTimeoutMs: number): void {
  const openedMs = performance.now()
  let timer: Disposable
  const check = () => {
    const leftMs = (session.relay?.lastInputMs ?? openedMs) + idleTimeoutMs - performance.now()
    if (leftMs <= 0) session.end({ reason: 'idle' })
    else timer = after(Math.ceil(leftMs), check)
  }
  timer = after(idleTimeoutMs, check)
  stopAtEnd(session, () => timer[Symbol.dispose]())
}
