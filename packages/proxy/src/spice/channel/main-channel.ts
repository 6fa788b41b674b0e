/**
 * Reads the hypervisor's messages on the main channel: the session's id, the guest's UUID, the list of channels, and the
 * target of a live migration. Forwards all other messages unchanged.
 */
import { Gathered } from '../../hypervisor/gathered.ts'
import type { Ending } from '../../session/ending.ts'
import type { SpiceSession } from '../session/session.ts'
import type { AllowedHosts, SpiceTarget } from '../session/target.ts'
import { headerBytes, type Piece, withBody } from '../wire/framing.ts'
import {
  buildMigrationTarget,
  hideChannels,
  MalformedMessage,
  type MigrationTarget,
  parseInit,
  parseMigrationTarget,
  parseName,
  parseUuid,
} from '../wire/main-messages.ts'
import { type ChannelName, type HeaderFormat, serverMessages } from '../wire/protocol.ts'

export interface MainRules {
  /** The reaction to a guest that is not the instance. */
  readonly identity: 'off' | 'warn' | 'enforce'
  readonly hidden: ReadonlySet<ChannelName>
  readonly migrationHosts: AllowedHosts
}

/** The properties of the main channel that depend on its link. */
export interface MainLink {
  readonly format: HeaderFormat
  /** Whether the client itself requested name and UUID; otherwise these messages are dropped. */
  readonly wantsUuid: boolean
  /** Whether this is the second main channel, to the target of a migration: that one may list no UUID. */
  readonly migrating: boolean
}

/** Thrown when the session must end. */
export class ChannelFault extends Error {
  override readonly name = 'ChannelFault'
  readonly ending: Ending

  constructor(ending: Ending) {
    super(ending.detail ?? ending.reason, { cause: ending.cause })
    this.ending = ending
  }
}

const { migrate, main } = serverMessages
const MAX_READ_BYTES = 64 * 1024

/** Returns the message for the client, or `undefined` to drop it. */
type Handler = (whole: Buffer, body: Buffer) => Buffer | undefined

/**
 * Creates a filter for the main channel's pieces, towards the client. It returns the messages that it reads as a whole.
 * @throws ChannelFault if the session must end
 */
export function mainFilter(
  session: SpiceSession,
  rules: MainRules,
  link: MainLink,
): (piece: Piece) => Buffer | undefined {
  const handlers = handlersOf(session, rules, link)
  const held = new Gathered()
  return (piece) => {
    const { message, bytes } = piece
    const handler = handlers.get(message.type)
    if (message.subList !== 0) throw fault('sub-messages on the main channel')
    if (!handler) return bytes
    if (message.size > MAX_READ_BYTES) throw fault(`message ${message.type} of ${message.size} bytes`)
    const whole = gathered(held, piece)
    if (!whole) return undefined
    return read(() => handler(whole, whole.subarray(headerBytes[link.format])))
  }
}

/** Returns the whole message once `piece` completes it. Most messages come in one piece, which is not copied. */
function gathered(held: Gathered, { bytes, first, last }: Piece): Buffer | undefined {
  if (first && last) return bytes
  held.append(bytes)
  return last ? held.take() : undefined
}

function handlersOf(session: SpiceSession, rules: MainRules, link: MainLink): ReadonlyMap<number, Handler> {
  const keepUuid = (whole: Buffer) => (link.wantsUuid ? whole : undefined)
  const moved = migrationHandlers(session, rules.migrationHosts, link)
  const handlers: [number, Handler][] = [
    [
      main.init,
      (whole, body) => {
        session.connectionId = parseInit(body)
        return whole
      },
    ],
    [
      main.name,
      (whole, body) => {
        session.log.debug({ guest: parseName(body) }, 'the hypervisor named the guest')
        return keepUuid(whole)
      },
    ],
    [
      main.uuid,
      (whole, body) => {
        identify(session, rules.identity, parseUuid(body))
        return keepUuid(whole)
      },
    ],
    [
      main.channelsList,
      (whole, body) => {
        if (!link.migrating) requireIdentified(session, rules.identity)
        return withBody(whole, hideChannels(body, rules.hidden), link.format)
      },
    ],
    ...moved,
  ]
  return new Map(handlers)
}

/** Compares the guest's UUID with the instance: libvirt reuses ports, so only the UUID identifies the machine. */
function identify(session: SpiceSession, identity: MainRules['identity'], uuid: string): void {
  const { instance } = session.facts
  if (identity === 'off') return
  if (uuid === instance.toLowerCase()) {
    session.identified = true
    return
  }
  const detail = `the guest is ${uuid}, not ${instance}`
  session.log.error({ guest: uuid, identity }, 'the console belongs to another instance')
  if (identity === 'enforce') throw new ChannelFault({ reason: 'wrong_instance', detail })
  session.identified = true
}

/** Requires that the guest is identified. Channels with output or input open only after this. */
function requireIdentified(session: SpiceSession, identity: MainRules['identity']): void {
  if (session.identified) return
  if (identity === 'enforce')
    throw new ChannelFault({ reason: 'wrong_instance', detail: 'the hypervisor sent no UUID of the guest' })
  if (identity === 'warn') session.log.warn('the hypervisor sent no UUID of the guest')
  session.identified = true
}

function migrationHandlers(session: SpiceSession, hosts: AllowedHosts, { format }: MainLink): [number, Handler][] {
  const begin =
    (seamless: boolean): Handler =>
    (whole, body) => {
      const named = parseMigrationTarget(body, seamless)
      const target = allowedTarget(session, hosts, named)
      if (!target) return undefined
      session.noteMigration()
      session.beginMigration(target)
      return rewritten(session, whole, named, format)
    }
  const passing =
    (act: () => void): Handler =>
    (whole) => {
      session.noteMigration()
      act()
      return whole
    }
  const switchHost: Handler = (whole, body) => {
    const named = parseMigrationTarget(body, false)
    const target = allowedTarget(session, hosts, named)
    if (!target) return undefined
    session.noteMigration()
    session.switchHost(target)
    return rewritten(session, whole, named, format)
  }
  return [
    [main.migrateBegin, begin(false)],
    [main.migrateBeginSeamless, begin(true)],
    [main.migrateSwitchHost, switchHost],
    [main.migrateCancel, passing(() => session.cancelMigration())],
    [main.migrateEnd, passing(() => session.commitMigration('semi-seamless'))],
    [migrate, passing(() => session.commitMigration('seamless'))],
  ]
}

/** Returns the migration's target if the operator has listed its host: the proxy dials this name from the hypervisor. */
function allowedTarget(session: SpiceSession, hosts: AllowedHosts, named: MigrationTarget): SpiceTarget | undefined {
  const { host, port, tlsPort } = named
  if (hosts.has(host) && (port !== 0 || tlsPort !== 0)) {
    return { host, ...(port === 0 ? {} : { port }), ...(tlsPort === 0 ? {} : { tlsPort }) }
  }
  const why = hosts.any
    ? 'live migration to an unlisted host is not followed: add it to spice.migration_hosts'
    : 'live migration is disabled: spice.migration_hosts is empty'
  session.log.warn({ host }, why)
  return undefined
}

/** Rewrites the target to the proxy's address as in the `.vv`, so that the client never learns the hypervisor's address. */
function rewritten(session: SpiceSession, whole: Buffer, { version }: MigrationTarget, format: HeaderFormat): Buffer {
  const { host, port = 0, tlsPort = 0 } = session.ticket.grant.endpoint
  const target = { host, port, tlsPort, subject: '', ...(version === undefined ? {} : { version }) }
  return withBody(whole, buildMigrationTarget(target), format)
}

function read(act: () => Buffer | undefined): Buffer | undefined {
  try {
    return act()
  } catch (cause) {
    if (cause instanceof MalformedMessage)
      throw new ChannelFault({ reason: 'console_lost', detail: cause.message, cause })
    throw cause
  }
}

const fault = (detail: string) => new ChannelFault({ reason: 'console_lost', detail })
