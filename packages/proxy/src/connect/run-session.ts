/** Runs a session from the 101 to its end. */
import type { Duplex } from 'node:stream'
import { type CloseReasonName, consoleTypes } from '@oriel/contract'
import type { WebSocket } from 'ws'
import type { Slot } from '../admit/limits.ts'
import type { Admission } from '../authority/authority.ts'
import { ClientFault, type Console } from '../consoles/console.ts'
import { kindOf } from '../consoles/kinds.ts'
import type { HypervisorSocket } from '../hypervisor/leg.ts'
import type { Seat } from '../presence/shared-consoles.ts'
import { type Ending, takenOverText } from '../session/ending.ts'
import type { SessionFacts } from '../session/open-session.ts'
import { Relay } from '../session/relay.ts'
import { Session } from '../session/session.ts'
import { startSessionTimers } from '../session/timers.ts'
import type { ConnectContext } from './context.ts'

/** An accepted client and the leg to its console. */
export interface Opened {
  /** The session's id. */
  readonly id: string
  readonly facts: SessionFacts
  /** Names the tickets of the session's page. Absent: it has no page. */
  readonly handle: string | undefined
  /** Whether the page has come back to its console with a ticket. */
  readonly resumes: boolean
  readonly client: WebSocket
  /** The connection beneath `client`. */
  readonly stream: Duplex
  readonly hypervisor: HypervisorSocket
  readonly console: Console
  /** The bytes that the hypervisor sent beyond its handshake. */
  readonly rest: Buffer
  readonly admission: Admission
  readonly slot: Pick<Slot, 'onTakenOver' | 'forbidResume'>
  /** How long the session may last, in milliseconds. 0: without limit. */
  readonly maxMs: number
  /** The session's place at a console that sessions share. */
  readonly seat: Seat | undefined
  /** What the session holds until it ends. */
  readonly resources: Disposable
}

/** Starts the session without awaiting it, so that `connect` can release its locals: a session may last for days. */
export function startSession(context: ConnectContext, opened: Opened): void {
  runSession(context, opened).catch((err) => {
    context.log.error({ err }, 'a session failed with an unexpected error of the proxy')
    opened.client.terminate()
  })
}

/** Releases the session's resources as soon as it ends, without waiting for the client's answer to the close frame. */
async function runSession(context: ConnectContext, opened: Opened): Promise<void> {
  using _resources = opened.resources
  const { id, client, facts, admission, maxMs } = opened
  const { timing, metrics, sessions } = context
  const session = new Session(id, facts, client, context.log, admission.record)
  session.handle = opened.handle
  if (opened.resumes && !consoleTypes[facts.type].channelsShareToken) context.endEarlier(pageSessionOf(session))
  metrics.sessionOpened(facts)
  sessions.add(
    session,
    session.ended.then((ending) => session.close(ending, timing.closeTimeoutMs)),
  )
  opened.slot.onTakenOver((by) => session.end({ reason: 'taken_over', text: takenOverText(by) }))
  const limits = { ...timing, maxSessionMs: maxMs }
  startSessionTimers(session, client, limits, context.enforceTokenExpiry ? admission.expiresAt : undefined)
  await startRelay(context, session, opened)
  const { reason } = await session.ended
  if (reason === 'ended' || reason === 'revoked') opened.slot.forbidResume()
  opened.seat?.leave(reason)
  metrics.sessionEnded(facts, reason)
}

const pageSessionOf = ({ id, handle = '', startedAt }: Session) => ({ id, handle, startedMs: startedAt.getTime() })

/** Does the client's handshake and starts the relay in the same tick, so that no bytes are missed between the two. */
async function startRelay(context: ConnectContext, session: Session, opened: Opened): Promise<void> {
  const { timing, metrics, budget } = context
  const { client, stream, hypervisor, console, rest } = opened
  try {
    const greeted = await console.greet(client, { timeoutMs: timing.clientHandshakeMs, signal: session.signal })
    session.relay = new Relay(hypervisor, client, {
      acceptsText: console.acceptsText,
      stalledAfterMs: timing.stalledAfterMs,
      stream,
      budget,
      end: console.share ? (ending) => session.end(ending) : endingOf(context, session, opened.admission),
      count: metrics.counter(session.facts.type),
    })
    session.relay.start({ fromHypervisor: rest, fromClient: greeted.rest })
  } catch (cause) {
    const reason = cause instanceof ClientFault ? cause.reason : 'proxy_error'
    session.end({ reason, detail: (cause as Error).message, cause })
  }
}

/**
 * Returns how the relay ends the session: as `moved` or `switched_off` if the console has ended the connection because its
 * machine runs on another host now, or is off. Keeps the console's address alone, since a session may last for days. A leg that sessions share follows the
 * machine itself.
 */
function endingOf({ moves }: ConnectContext, session: Session, { host, port }: Admission): (ending: Ending) => void {
  const { type, instance } = session.facts
  if (!moves || !kindOf(type).followsMoves) return (ending) => session.end(ending)
  return (ending) => {
    if (!CONSOLE_ENDS.has(ending.reason)) return void session.end(ending)
    const search = moves.fateOf({ instance, type, sessionId: session.id, host, port })
    void search.then((reason) => session.end(reason ? { reason } : ending))
  }
}

const CONSOLE_ENDS: ReadonlySet<CloseReasonName> = new Set(['console_closed', 'console_lost'])
