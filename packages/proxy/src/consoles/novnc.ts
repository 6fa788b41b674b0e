/**
 * Console type `novnc`: RFB in binary WebSocket frames. The proxy terminates the RFB handshake on both sides, so that the
 * browser needs no secret of the hypervisor. From ClientInit on, it only relays.
 */
import { type Deadline, deadline, guardPeer, type Secret } from '@oriel/runtime'
import type { RawData, WebSocket } from 'ws'
import type { LearntNames } from '../authority/instance-names.ts'
import { EXEMPT, type HypervisorHosts, settingsOf } from '../hypervisor/hosts.ts'
import type { HypervisorSocket, LegTls, SecuredLeg } from '../hypervisor/leg.ts'
import { Refused } from '../refused.ts'
import { ClientProtocolError, performClientHandshake } from '../rfb/client-handshake.ts'
import { ContinuousUpdates, type UpdatesOptions } from '../rfb/continuous-updates.ts'
import { NotRfb, performHypervisorHandshake } from '../rfb/hypervisor-handshake.ts'
import { type InstanceNames, nameObjection, namesInstance } from '../rfb/identity.ts'
import { guardIdentity, watchDesktopName } from '../rfb/identity-guard.ts'
import { filterInput } from '../rfb/input-filter.ts'
import { LegStream } from '../rfb/leg-stream.ts'
import { type SecurityScheme, securityType } from '../rfb/security/index.ts'
import { SecurityFailed } from '../rfb/security/security-type.ts'
import { NameTooLong } from '../rfb/server-init.ts'
import { ByteReader, TooManyBytes } from '../rfb/wire/reader.ts'
import {
  ClientFault,
  type DialledOpening,
  type HandshakeLimits,
  type Handshaken,
  type IdentifiedOpening,
  type IdentifyingConsole,
} from './console.ts'

export interface VncSettings {
  /** The accepted security schemes of the leg to the hypervisor, the preferred one first. */
  readonly schemes: readonly SecurityScheme[]
  /** The password of VNC servers for which the authority names none. Default: none. */
  readonly password?: Secret | undefined
  /** The TLS settings of `vencrypt`, which are the same for every host. */
  readonly tls?: Omit<LegTls, 'host'> | undefined
  readonly hosts: HypervisorHosts
  /** How to give continuous updates to clients whose server lacks them. Absent: not at all. */
  readonly updates?: UpdatesOptions | undefined
}

/** Enough for ProtocolVersion and security type, and for a client that sends ClientInit and more without waiting. */
const MAX_CLIENT_BYTES = 512

export function novnc({ schemes, password, tls, hosts, updates }: VncSettings): IdentifyingConsole {
  return {
    subprotocols: ['binary'],
    acceptsText: false,
    secure: async (dialled, limits, opening) => {
      using limit = deadline(limits.timeoutMs, limits.signal)
      const { signal } = limit
      const stream = new LegStream(dialled, { signal, tls: tls && { ...tls, host: opening.admission.host } })
      try {
        await performHypervisorHandshake(stream, typesOf(schemes, opening.admission.password ?? password))
      } catch (cause) {
        if (limits.signal.aborted) throw limits.signal.reason
        throw refusalOf(cause, limit, limits)
      }
      return { hypervisor: stream.leg, rest: stream.rest() }
    },
    identify: async (leg, limits, opening) => {
      const { identity: desktop } = settingsOf(hosts, opening.admission.host)
      return desktop === EXEMPT ? leg : identifiers[opening.identity](leg, { ...opening, desktop }, limits)
    },
    limitInput: (leg, input, early) => filterInput(leg, input, continuousUpdates(leg, early, updates)),
    greet,
  }
}

/** A server that speaks before the client's ClientInit is not followed: its messages would have begun elsewhere. */
const continuousUpdates = (leg: HypervisorSocket, early: Buffer, options: UpdatesOptions | undefined) =>
  options && early.length === 0 ? new ContinuousUpdates(leg, options) : undefined

const typesOf = (schemes: readonly SecurityScheme[], password: Secret | undefined) =>
  schemes.map((scheme) => securityType(scheme, password))

interface DesktopOpening extends DialledOpening {
  /** The configured name of the desktop. Default: QEMU's. */
  readonly desktop: string | undefined
}

type Identify = (leg: SecuredLeg, opening: DesktopOpening, limits: HandshakeLimits) => SecuredLeg | Promise<SecuredLeg>

/** The identity check of each setting of `hypervisor.identity`. */
const identifiers: Readonly<Record<IdentifiedOpening['identity'], Identify>> = {
  warn: ({ hypervisor, rest }, opening) => ({
    hypervisor: watchDesktopName(hypervisor, rest, (name) => warnOfName(name, opening)),
    rest,
  }),
  enforce: async ({ hypervisor, rest }, opening, { timeoutMs }) => ({
    hypervisor: guardIdentity(hypervisor, rest, {
      names: await requireNames(opening),
      desktop: opening.desktop,
      timeoutMs,
    }),
    rest: Buffer.alloc(0),
  }),
}

/** @throws Refused if the look-up of the names failed */
async function requireNames(opening: DesktopOpening): Promise<InstanceNames> {
  const result = await learntNames(opening)
  if ('refused' in result) throw result.refused
  return result.known
}

async function warnOfName(desktopName: string | NameTooLong, opening: DesktopOpening): Promise<void> {
  const { log, desktop } = opening
  const result = await learntNames(opening).catch(() => undefined)
  if (result === undefined) return
  if ('refused' in result) {
    const { message: detail, cause: err } = result.refused
    return log.warn({ detail, err }, 'the instance has no known names to compare this guest with')
  }
  const objection =
    desktopName instanceof NameTooLong ? desktopName.message : nameObjection(desktopName, result.known, desktop)
  if (objection !== undefined) log.warn({ detail: objection }, 'this guest may not be the instance')
}

/** Returns the instance's names if the desktop is compared with them, so that only then a failed look-up refuses it. */
async function learntNames({ names, desktop }: DesktopOpening): Promise<LearntNames> {
  return namesInstance(desktop) ? names! : { known: { names: [] } }
}

function refusalOf(cause: unknown, { passed }: Deadline, { timeoutMs }: HandshakeLimits): Refused {
  if (passed) return new Refused('console_timeout', `no RFB handshake within ${timeoutMs} ms`, { cause })
  const atFault = cause instanceof SecurityFailed || cause instanceof TooManyBytes
  if (atFault) return new Refused('security_failed', `RFB security: ${cause.message}`, { cause })
  const detail = cause instanceof NotRfb ? cause.message : 'the connection closed during the RFB handshake'
  return new Refused('console_unreachable', detail, { cause })
}

async function greet(client: WebSocket, limits: HandshakeLimits): Promise<Handshaken> {
  using limit = deadline(limits.timeoutMs, limits.signal)
  const reader = new ByteReader({ maxBytes: MAX_CLIENT_BYTES, signal: limit.signal })
  const message = guardPeer(
    (data: RawData, isBinary: boolean) => {
      if (isBinary) reader.push(data as Buffer)
      else reader.fail(new ClientProtocolError('the client sent a text frame'))
    },
    (cause) => reader.fail(cause),
  )
  client.on('message', message)
  try {
    await performClientHandshake({ reader, write: (bytes) => client.send(bytes) })
    return { rest: reader.rest() }
  } catch (cause) {
    if (limits.signal.aborted) throw limits.signal.reason
    throw faultOf(cause, limit)
  } finally {
    client.off('message', message)
  }
}

function faultOf(cause: unknown, { passed }: Deadline): ClientFault {
  if (passed) return new ClientFault('client_lost', 'the client did not finish the RFB handshake', { cause })
  return new ClientFault('protocol_error', `RFB handshake: ${(cause as Error).message}`, { cause })
}
