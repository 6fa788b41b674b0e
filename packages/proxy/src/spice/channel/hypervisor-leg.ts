/**
 * Opens the leg to a SPICE server, as an ordinary client: first TLS, then the link with the client's capabilities, then the
 * hypervisor's ticket.
 */
import type { Socket } from 'node:net'
import { deadline, isLoopback, type Secret } from '@oriel/runtime'
import { type DialTls, dialSocket } from '../../hypervisor/dial.ts'
import type { HypervisorAddress } from '../../hypervisor/leg.ts'
import { Refused } from '../../refused.ts'
import { type SpiceTarget, targetText } from '../session/target.ts'
import { has } from '../wire/capabilities.ts'
import {
  buildLinkMessage,
  HEADER_BYTES,
  LinkFault,
  type LinkMessage,
  type LinkReply,
  parseLinkReply,
  parseServerHeader,
  u32,
} from '../wire/link.ts'
import {
  channelTypes,
  commonCapabilities,
  linkErrors,
  linkErrorText,
  MAGIC,
  MECHANISM_SPICE,
} from '../wire/protocol.ts'
import { SocketReader } from '../wire/socket-reader.ts'
import { encryptTicket } from '../wire/ticket-keys.ts'

/** How legs to SPICE servers are protected. Certificates are always verified. */
export interface SpiceSecurity extends DialTls {
  /** Whether plaintext is allowed. Default: only to loopback and Unix sockets. */
  readonly allowPlaintext?: boolean | undefined
  /** The ticket of every hypervisor, as `spice_password` of libvirt sets it. Default: ticketing is off. */
  readonly password?: Secret | undefined
}

export interface LegDeadlines {
  /** Deadline for TCP and TLS together. */
  readonly dialTimeoutMs: number
  /** Deadline for the whole link: while a machine migrates, its target may take ten seconds to answer. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** An established leg, on which both sides may send messages. */
export interface HypervisorLeg {
  readonly socket: Socket
  readonly reader: SocketReader
  readonly reply: LinkReply
  readonly encrypted: boolean
}

const { authSelection, authSpice, authSasl, miniHeader } = commonCapabilities

/** Opens a channel. @throws Refused; the signal's reason once it aborts */
export function openLeg(
  target: SpiceTarget,
  link: LinkMessage,
  security: SpiceSecurity,
  deadlines: LegDeadlines,
): Promise<HypervisorLeg> {
  return withDeadline(target, deadlines, async (signal) => {
    const leg = await linked(target, link, security, deadlines, signal)
    return destroyedOnFailure(leg, signal, async () => {
      await authenticate(leg, link, security.password?.reveal() ?? '')
      return leg
    })
  })
}

/**
 * Tests whether a main channel can be opened. Closes the connection before the ticket, so that an open session is not
 * disturbed. @throws Refused; the signal's reason once it aborts
 */
export function probe(target: SpiceTarget, security: SpiceSecurity, deadlines: LegDeadlines): Promise<void> {
  const common = [authSelection | authSpice | miniHeader]
  const link = { connectionId: 0, channelType: channelTypes.main, channelId: 0, common, channel: [] }
  return withDeadline(target, deadlines, async (signal) => {
    const { socket } = await linked(target, link, security, deadlines, signal)
    socket.destroy()
  })
}

/** Runs `work` with a deadline, and converts its failure to a Refused. */
async function withDeadline<T>(
  target: SpiceTarget,
  { timeoutMs, signal }: LegDeadlines,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  using limit = deadline(timeoutMs, signal)
  try {
    return await work(limit.signal)
  } catch (cause) {
    if (signal.aborted) throw signal.reason
    if (limit.passed)
      throw new Refused('console_timeout', `${targetText(target)}: no link within ${timeoutMs} ms`, { cause })
    throw cause instanceof Refused ? cause : new Refused('console_unreachable', reasonOf(target, cause), { cause })
  }
}

/** Retries in plaintext after link error 6, which a hypervisor returns if it protects only some of its channels. */
async function linked(
  target: SpiceTarget,
  link: LinkMessage,
  security: SpiceSecurity,
  deadlines: LegDeadlines,
  signal: AbortSignal,
): Promise<HypervisorLeg> {
  const { host, tlsPort } = target
  const tried =
    tlsPort === undefined ? undefined : await linkAt({ host, port: tlsPort }, security, link, deadlines, signal)
  if (tried && tried.reply.error !== linkErrors.need_unsecured) return accepted(tried, link)
  tried?.socket.destroy()
  const plaintext = plaintextAddress(target)
  if (!plaintext)
    throw new Refused(
      'security_failed',
      `${host} requires plaintext for this channel, but its plaintext port is unknown`,
    )
  if (!allowsPlaintext(plaintext, security)) {
    throw new Refused(
      'security_failed',
      `${host} offers no TLS for this channel, and hypervisor.spice.allow_plaintext forbids plaintext`,
    )
  }
  return accepted(await linkAt(plaintext, undefined, link, deadlines, signal), link)
}

/** A SPICE server has no TLS at a Unix socket. */
function plaintextAddress({ host, port, socket }: SpiceTarget): HypervisorAddress | undefined {
  if (socket) return { host, port: 0, socket }
  return port === undefined ? undefined : { host, port }
}

const allowsPlaintext = ({ host, socket }: HypervisorAddress, { allowPlaintext }: SpiceSecurity) =>
  allowPlaintext ?? (socket !== undefined || isLoopback(host))

function accepted(leg: HypervisorLeg, link: LinkMessage): HypervisorLeg {
  const objection = objectionTo(leg, link)
  if (objection === undefined) return leg
  leg.socket.destroy()
  throw new Refused('security_failed', objection)
}

function objectionTo({ reply, encrypted }: HypervisorLeg, { common }: LinkMessage): string | undefined {
  const { error } = reply
  if (error === linkErrors.need_secured)
    return `the hypervisor requires TLS${encrypted ? '' : ', but no tls_port is known'}`
  if (error !== linkErrors.ok) return `the hypervisor answers ${linkErrorText(error)}`
  if (has(reply.common, authSelection) && !has(reply.common, authSpice)) {
    return has(reply.common, authSasl) ? 'the hypervisor requires SASL' : 'the hypervisor does not accept tickets'
  }
  if (has(common, miniHeader) && !has(reply.common, miniHeader)) return 'the hypervisor does not support MINI_HEADER'
  return undefined
}

/** Connects and exchanges link messages, over TLS when `security` is given. */
async function linkAt(
  address: HypervisorAddress,
  security: SpiceSecurity | undefined,
  link: LinkMessage,
  { dialTimeoutMs }: LegDeadlines,
  signal: AbortSignal,
): Promise<HypervisorLeg> {
  const socket = await dialSocket(address, security, dialTimeoutMs, signal)
  const reader = new SocketReader(socket)
  return destroyedOnFailure({ socket }, signal, async () => {
    socket.write(buildLinkMessage(link))
    const size = parseServerHeader(await reader.read(HEADER_BYTES))
    const reply = parseLinkReply(await reader.read(size))
    return { socket, reader, reply, encrypted: security !== undefined }
  })
}

/** Sends the ticket and reads the result. A SASL server answers with a link reply in its place. */
async function authenticate(
  { socket, reader, reply }: HypervisorLeg,
  { common }: LinkMessage,
  password: string,
): Promise<void> {
  if (has(common, authSelection) && has(reply.common, authSelection)) socket.write(u32(MECHANISM_SPICE))
  socket.write(encryptTicket(reply.publicKey, password))
  const result = await reader.read(4)
  if (result.equals(MAGIC)) throw new Refused('security_failed', 'the hypervisor refused the authentication mechanism')
  const code = result.readUInt32LE()
  if (code === linkErrors.permission_denied) {
    throw new Refused('security_failed', 'the hypervisor rejects the ticket: check hypervisor.spice.password')
  }
  if (code !== linkErrors.ok) throw new Refused('security_failed', `the hypervisor's result is ${linkErrorText(code)}`)
}

/** Runs `work`. Destroys the socket if the signal aborts meanwhile or `work` fails. */
async function destroyedOnFailure<T>(
  { socket }: { socket: Socket },
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const abort = () => socket.destroy()
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await work()
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

function reasonOf(target: SpiceTarget, cause: unknown): string {
  const protocol = cause instanceof LinkFault ? 'the server does not speak SPICE: ' : ''
  return `${targetText(target)}: ${protocol}${(cause as Error).message}`
}
