/** Handles one connection of a SPICE client from its first byte to its last. `serve` lists the steps; each may refuse. */
import type { Socket } from 'node:net'
import type { Logger } from '@oriel/runtime'
import type { Slot } from '../../admit/limits.ts'
import { Refused } from '../../refused.ts'
import { countBuffered } from '../session/buffered.ts'
import { SpiceSession } from '../session/session.ts'
import type { SpiceTarget } from '../session/target.ts'
import type { Ticket } from '../session/tickets.ts'
import { startTimers } from '../session/timers.ts'
import {
  commonForHypervisor,
  has,
  headerFormat,
  lacking,
  mainForHypervisor,
  serverCapabilities,
} from '../wire/capabilities.ts'
import { type ClientLink, readLink, readTicket, replyTo } from '../wire/client-link.ts'
import { buildResult, type LinkMessage } from '../wire/link.ts'
import { isHidden } from '../wire/main-messages.ts'
import { mainCapabilities } from '../wire/protocol.ts'
import { SocketEnded, SocketReader } from '../wire/socket-reader.ts'
import { hiddenFrom, isWithheld } from '../wire/watcher-policy.ts'
import { judge, mayTakeOver } from './admission.ts'
import { ChannelRelay } from './channel-relay.ts'
import type { SpiceContext, SpiceSettings } from './context.ts'
import { type HypervisorLeg, openLeg } from './hypervisor-leg.ts'
import { mainFilter } from './main-channel.ts'
import { refuse, WrongLink, WrongTicket } from './refuse.ts'

/** A connection that is ready to be read. */
export interface Connection {
  readonly socket: Socket
  readonly client: string
  /** The listener's `host:port`. */
  readonly listener: string
  /** Aborts when link and ticket take too long, unless `settled` was called before, or when the proxy closes. */
  readonly signal: AbortSignal
  /** Called once the client has authenticated itself. */
  readonly settled: () => void
}

/** Handles one connection until it is closed. Never rejects. */
export async function handleConnection(context: SpiceContext, connection: Connection): Promise<void> {
  const { socket, client, listener } = connection
  const reader = new SocketReader(socket)
  const abort = () => socket.destroy()
  connection.signal.addEventListener('abort', abort, { once: true })
  if (connection.signal.aborted) abort()
  try {
    await serve(context, connection, reader)
  } catch (error) {
    await refuse(context, socket, { client, listener }, error)
  } finally {
    connection.signal.removeEventListener('abort', abort)
  }
}

/** A client that has sent its link message. */
interface Arrival {
  readonly connection: Connection
  readonly reader: SocketReader
  readonly link: ClientLink
}

async function serve(context: SpiceContext, connection: Connection, reader: SocketReader): Promise<void> {
  const { keys, tickets, settings } = context
  const link = await readLink(reader)
  const key = keys.current
  await write(connection.socket, replyTo(link, key))
  const ticket = tickets.find(await readTicket(reader, link, key))
  const session = ticket?.session
  const verdict = judge(link, ticket && { mayOpen: ticket.mayOpen, session: session && stateOf(session) })
  if (!ticket?.mayOpen) throw new WrongTicket('no such ticket')
  connection.settled()
  if (verdict === 'refuse') throw new WrongLink(`${link.name} is not admitted`)
  if (isHidden(link.channelType, hiddenFrom(ticket.grant.role, settings.hidden)))
    throw new WrongLink(`${link.name} is hidden`)
  refuseWhenDraining(context)
  const arrival = { connection, reader, link }
  if (verdict === 'open') return openSession(context, arrival, ticket)
  return joinSession(context, arrival, session!, verdict === 'migrate')
}

const stateOf = ({ connectionId, identified, awaitsMigration }: SpiceSession) => ({
  connectionId,
  identified,
  migrating: awaitsMigration,
})

/** Opens the main channel of a new session: takes a slot, and ends an earlier session on the console. */
async function openSession(context: SpiceContext, arrival: Arrival, ticket: Ticket): Promise<void> {
  const { settings, log } = context
  const { instance, tokenDigest, expiresAt, role, label } = ticket.grant
  const { listener, client } = arrival.connection
  const parties = { tokenDigest, instance, client }
  const facts = { ...parties, type: 'spice-direct' as const, role, ...(label === undefined ? {} : { label }), listener }
  const session = new SpiceSession(facts, ticket, settings.identity === 'off', log, settings)
  endEarlier(ticket)
  ticket.session = session
  try {
    const slot = await slotFor(context, session)
    slot.onTakenOver(() => session.end({ reason: 'taken_over' }))
    session.hold(slot)
    makeWay(context, session)
    await runChannel(context, arrival, session, { target: ticket.target, migrating: false }, (main) => {
      session.open(main)
      register(context, session, settings.enforceTokenExpiry ? expiresAt : undefined)
    })
    await session.ended
  } finally {
    session.end({ reason: 'console_lost' })
  }
}

/** Adds the session to the list, the metrics and the timers. */
function register(
  { metrics, sessions, timing, budget }: SpiceContext,
  session: SpiceSession,
  expiresAt: Date | undefined,
): void {
  const { facts } = session
  session.ended.then(({ reason }) => {
    metrics.sessionEnded(facts, reason)
    sessions.remove(session)
  })
  metrics.admission('admitted')
  metrics.sessionOpened(facts)
  sessions.add(session)
  startTimers(session, timing, expiresAt)
  countBuffered(session, budget)
}

/** Opens a further channel, or the second main channel, to the target of a migration. */
async function joinSession(
  context: SpiceContext,
  arrival: Arrival,
  session: SpiceSession,
  migrating: boolean,
): Promise<void> {
  const target = migrating ? session.pending! : session.targetOfNextChannel
  await runChannel(context, arrival, session, { target, migrating }, (channel) => {
    if (migrating) session.addMigrated(channel)
  })
}

/** Opens the hypervisor's leg, accepts the client's link, and relays until either side ends. */
async function runChannel(
  context: SpiceContext,
  { connection: { socket }, reader, link }: Arrival,
  session: SpiceSession,
  { target, migrating }: { target: SpiceTarget; migrating: boolean },
  opened: (channel: ChannelRelay) => void,
): Promise<void> {
  const { settings, timing, metrics } = context
  const { name, channelId } = link
  const slot = { name, channelId, target, migrating }
  const isWatcher = session.facts.role === 'watch'
  const hidden = hiddenFrom(session.facts.role, settings.hidden)
  const objection = session.objectionTo(slot)
  if (objection !== undefined) throw new WrongLink(objection)
  using _slot = session.reserve(slot)
  const leg = await openWhileClientWaits(context, session, link, target, socket)
  const format = headerFormat(link.common)
  const wantsUuid = has(link.channel, mainCapabilities.nameAndUuid)
  const relay = new ChannelRelay({ socket, reader }, leg, {
    ...{ session, name, channelId, target, format, count: metrics.counter('spice-direct') },
    // A message that the policy does not list may be input.
    policy: isWatcher ? 'enforce' : settings.policy,
    filter:
      name === 'main' ? mainFilter(session, { ...settings, hidden }, { format, wantsUuid, migrating }) : undefined,
    withholds: isWatcher ? (type) => isWithheld(name, type) : undefined,
    stalledAfterMs: timing.stalledAfterMs,
    closeTimeoutMs: timing.closeTimeoutMs,
  })
  session.add(relay)
  opened(relay)
  await write(socket, buildResult('ok')).catch(() => {})
  session.remove(relay, await relay.run())
}

async function openWhileClientWaits(
  context: SpiceContext,
  session: SpiceSession,
  link: ClientLink,
  target: SpiceTarget,
  socket: Socket,
): Promise<HypervisorLeg> {
  const { settings, timing, closing } = context
  const clientClosed = new AbortController()
  const onClose = () => clientClosed.abort(new SocketEnded('the client disconnected before its channel opened'))
  socket.once('close', onClose)
  if (socket.destroyed) onClose()
  try {
    const open = () =>
      openLeg(target, linkForHypervisor(link, settings), settings.security, {
        dialTimeoutMs: timing.dialTimeoutMs,
        timeoutMs: settings.legTimeoutMs,
        signal: AbortSignal.any([clientClosed.signal, session.signal, closing]),
      })
    const leg = await context.metrics.timed('handshake', 'spice-direct', open)
    noteLacking(session.log, link, leg)
    return leg
  } finally {
    socket.off('close', onClose)
  }
}

/** Forwards the client's capabilities, except those that would break the link or lead the client past the proxy. */
function linkForHypervisor(link: ClientLink, { identity, migrationHosts }: SpiceSettings): LinkMessage {
  const { connectionId, channelType, channelId, common, channel, name } = link
  const rules = { identify: identity !== 'off', migrate: migrationHosts.any }
  const words = name === 'main' ? mainForHypervisor(channel, rules) : channel
  return { connectionId, channelType, channelId, common: commonForHypervisor(common), channel: words }
}

/** Logs capabilities that the proxy has announced to the client, from its table, but the hypervisor lacks. */
function noteLacking(log: Logger, { name }: ClientLink, { reply }: HypervisorLeg): void {
  const missing = lacking(serverCapabilities[name], reply.channel)
  if (missing)
    log.debug({ channel: name, missing }, 'the hypervisor lacks capabilities that the proxy announced to the client')
}

/** Ends the ticket's earlier session: the viewer reconnected, or followed a migration, before its old connections closed. */
function endEarlier({ session }: Ticket): void {
  if (!session) return
  const [reason, detail] = session.migrating
    ? (['client_closed', 'the viewer followed a live migration'] as const)
    : (['client_lost', 'the same ticket connected again'] as const)
  session.end({ reason, detail })
}

/** Takes a slot for the session. The slot of a session that it would replace counts as free. @throws Refused */
function slotFor(context: SpiceContext, session: SpiceSession): Slot | Promise<Slot> {
  refuseInUse(context, session)
  const replaces = context.byInstance.get(session.facts.instance)?.facts
  return context.slots.enter({ ...session.facts, type: 'spice-direct', ...(replaces ? { replaces } : {}) })
}

/** QEMU serves one SPICE client at a time: a second client either takes the console over or is refused (`spice.in_use`). */
function makeWay(context: SpiceContext, session: SpiceSession): void {
  const { byInstance, log } = context
  const { instance, client } = session.facts
  // The session may have been ended while it waited for its slot.
  session.signal.throwIfAborted()
  refuseInUse(context, session)
  const earlier = byInstance.get(instance)
  if (earlier) {
    log.info({ earlier: partyOf(earlier), later: partyOf(session) }, 'console taken over')
    earlier.end({ reason: 'taken_over', detail: `by ${client}, session ${session.id}` })
  }
  byInstance.set(instance, session)
  const leave = () => {
    if (byInstance.get(instance) === session) byInstance.delete(instance)
  }
  session.signal.addEventListener('abort', leave, { once: true })
}

function refuseInUse({ byInstance, settings, log }: SpiceContext, session: SpiceSession): void {
  const earlier = byInstance.get(session.facts.instance)
  if (!earlier || mayTakeOver(settings, session.facts.role, earlier.facts.role)) return
  log.info({ earlier: partyOf(earlier), later: partyOf(session) }, 'console in use')
  throw new Refused('in_use', `${session.facts.client} requests the console that ${earlier.facts.client} uses`)
}

/** Identifies a session's user for audit: the authority may be able to resolve the token's digest. */
const partyOf = ({ id, facts }: SpiceSession) => ({
  ...{ session: id, instance: facts.instance, client: facts.client, digest: facts.tokenDigest.slice(0, 12) },
})

function refuseWhenDraining({ draining }: SpiceContext): void {
  if (draining()) throw new Refused('draining', 'the proxy is stopping')
}

function write(socket: Socket, bytes: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  socket.write(bytes, (cause) => (cause ? reject(new SocketEnded('the client disconnected', { cause })) : resolve()))
  return promise
}
