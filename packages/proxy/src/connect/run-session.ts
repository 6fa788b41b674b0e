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
import type { SessionFacts, SessionRecord } from '../session/open-session.ts'
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
  readonly resources: DisposableStack
}

/** Starts the session without awaiting it, so that `connect` can release its locals: a session may last for days. */
export function startSession(context: ConnectContext, opened: Opened): void {
  runSession(context, opened).catch((err) => {
    reportFailure(context, err)
    opened.client.terminate()
    opened.resources[Symbol.dispose]()
  })
}

const reportFailure = ({ log }: ConnectContext, err: unknown) =>
  log.error({ err }, 'a session failed with an unexpected error of the proxy')

/** Resolves once the relay has started, and with it releases all that only opening the session needed. */
async function runSession(context: ConnectContext, opened: Opened): Promise<void> {
  const { id, client, facts, admission, maxMs } = opened
  const { timing, metrics, sessions } = context
  const session = new Session(id, facts, client, context.log, admission.record)
  endWith(context, session, opened)
  session.handle = opened.handle
  if (opened.resumes && !consoleTypes[facts.type].channelsShareToken) context.endEarlier(pageSessionOf(session))
  metrics.sessionOpened(facts)
  sessions.add(session)
  opened.slot.onTakenOver((by) => session.end({ reason: 'taken_over', text: takenOverText(by) }))
  startSessionTimers(session, client, {
    timing: { ...timing, maxSessionMs: maxMs },
    expiresAt: context.enforceTokenExpiry ? admission.expiresAt : undefined,
    resources: opened.resources,
  })
  await startRelay(context, session, opened)
}

/** What the end of a session needs. Kept in place of {@link Opened}, because a session may last for days. */
interface Held extends Pick<Opened, 'slot' | 'seat' | 'resources'> {
  readonly record: SessionRecord | undefined
}

function endWith(context: ConnectContext, session: Session, { admission, slot, seat, resources }: Opened): void {
  const held = { record: admission.record, slot, seat, resources }
  session.ended.then((ending) => endSession(context, session, held, ending))
}

/** Releases the session's resources as soon as it ends, without waiting for the client's answer to the close frame. */
async function endSession(context: ConnectContext, session: Session, held: Held, ending: Ending): Promise<void> {
  try {
    const closed = session.close(ending, context.timing.closeTimeoutMs)
    release(context, session, held, ending.reason)
    await closed
  } catch (err) {
    reportFailure(context, err)
  } finally {
    context.sessions.remove(session)
  }
}

function release(
  { metrics }: ConnectContext,
  { facts }: Session,
  { record, slot, seat, resources }: Held,
  reason: CloseReasonName,
): void {
  using _resources = resources
  record?.ended(reason)
  if (reason === 'ended' || reason === 'revoked') slot.forbidResume()
  seat?.leave(reason)
  metrics.sessionEnded(facts, reason)
}

const pageSessionOf = ({ id, handle = '', startedAt }: Session) => ({ id, handle, startedMs: startedAt.getTime() })

/** Does the client's handshake and starts the relay in the same tick, so that no bytes are missed between the two. */
async function startRelay(context: ConnectContext, session: Session, opened: Opened): Promise<void> {
  const { timing, metrics, budget } = context
  const { client, stream, hypervisor, console, rest } = opened
  try {
    const greeted = await console.greet(client, {
      timeoutMs: timing.clientHandshakeMs,
      signal: session.handshakeSignal,
    })
    const relay = new Relay(hypervisor, client, {
      acceptsText: console.acceptsText,
      stalledAfterMs: timing.stalledAfterMs,
      stream,
      budget,
      end: console.share ? (ending) => session.end(ending) : endingOf(context, session, opened.admission),
      count: metrics.counter(session.facts.type),
    })
    session.startRelay(relay, { fromHypervisor: rest, fromClient: greeted.rest })
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
  if (!moves || !kindOf(session.facts.type).followsMoves) return (ending) => session.end(ending)
  return (ending) => {
    const { type, instance } = session.facts
    if (!CONSOLE_ENDS.has(ending.reason)) return void session.end(ending)
    const search = moves.fateOf({ instance, type, sessionId: session.id, host, port })
    void search.then((reason) => session.end(reason ? { reason } : ending))
  }
}

const CONSOLE_ENDS: ReadonlySet<CloseReasonName> = new Set(['console_closed', 'console_lost'])
