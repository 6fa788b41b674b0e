/** The port through which the proxy resolves tokens to consoles. Its adapters are `nova.ts` and `oriel.ts`. */
import { isIP } from 'node:net'
import type { ConnectInfo, ConsoleRole, OpenableConsoleType } from '@oriel/contract'
import type { Health, Logger, Secret } from '@oriel/runtime'
import { portOptionalTypes } from '../consoles/kinds.ts'
import type { UnixSocket } from '../hypervisor/unix-socket.ts'
import type { Arbiter, ElsewhereListener } from '../presence/elsewhere.ts'
import type { SessionInvitations } from '../presence/invitations.ts'
import type { ResumeGrant } from '../resume/grant.ts'
import type { InstanceNames } from '../rfb/identity.ts'
import type { SessionRecord } from '../session/open-session.ts'
import type { Breaker } from './breaker.ts'

/** The console that a token leads to: its validated address, and the optional facts that the authority returned. */
export interface Admission {
  readonly instance: string
  /** The instance's name, if the authority returned it. */
  readonly instanceName?: string
  readonly host: string
  /** 1 to 65535. 0 for a Unix socket; otherwise only for a type with `portOptional`: there is no plaintext port. */
  readonly port: number
  /** Dialled in place of `host` and `port`; `host` is then `unix:` and its path. */
  readonly socket?: UnixSocket
  readonly internalAccessPath?: string
  readonly tlsPort?: number
  /** The password of the VNC server. Absent: that of the configuration, if any. */
  readonly password?: Secret
  /** Absent: the listener decides. */
  readonly type?: OpenableConsoleType
  /** When the token expires. Absent: only the authority knows. */
  readonly expiresAt?: Date
  /** The role of the token's sessions. Absent: `control`, the role of every token of Nova. */
  readonly role?: ConsoleRole
  /** Whether it came with an invitation to another session, which then keeps control unless it gives it. Default: no. */
  readonly invited?: boolean
  /** Present if the page of the session may invite to it: the name by which the authority finds this proxy's session. */
  readonly inviter?: string
  /** A name for people, which the creator of the console chose. */
  readonly label?: string
  /** Whether the token may open only one console. Absent: the configuration decides. */
  readonly singleUse?: boolean
  /** The console's base URL. Pages must have been loaded over its scheme. */
  readonly baseUrl?: string
  /** Whether the authority has just asked where the console is, so that `validate` has nothing to add. */
  readonly isCurrent?: boolean
  /** Reports the session's progress to an authority that keeps a list of sessions. */
  readonly record?: SessionRecord
}

/** A token that is about to open a console at a listener. */
export interface ConsoleClaim {
  readonly admission: Admission
  /** The console type that the listener serves. */
  readonly type: OpenableConsoleType
  readonly tokenDigest: string
}

/**
 * How the authority confirms that a console still belongs to the instance. `fresh`: by creating a new console;
 * `state`: by the server's state and host; `untried`: `fresh` or else `state`, decided by the first console;
 * `built-in`: `admit` does it.
 */
export type Validation = 'fresh' | 'state' | 'off' | 'untried' | 'built-in'

/** A console to which the connection has ended. */
export interface LostConsole {
  readonly instance: string
  readonly type: OpenableConsoleType
  readonly sessionId: string
}

/** The address of a console, validated as that of an admission. */
export type ConsoleAddress = Pick<Admission, 'host' | 'port' | 'socket'>

/**
 * Where a console is: at an address, on its way to another host, or nowhere, since its machine is switched `off` or for another
 * reason. `unknown`: the authority cannot say.
 */
export type Whereabouts =
  | ({ readonly is: 'at' } & ConsoleAddress)
  | { readonly is: 'moving' | 'off' | 'gone' | 'unknown' }

/** A serial port that the proxy must stay attached to. */
export interface StandingPort {
  readonly admission: Admission
  readonly projectId: string
}

export interface StandingPorts {
  /** Opaque; changes with the ports. */
  readonly version: string
  readonly ports: readonly StandingPort[]
  /** The ports whose output the authority wants. */
  readonly wantedLogs: readonly WantedLog[]
}

export interface WantedLog {
  readonly instance: string
  /** Opaque; names the question. */
  readonly askId: string
}

/** Tells which serial ports the proxy must stay attached to. */
export interface StandingPortDirectory {
  /**
   * Resolves once the ports differ from those of `version`, or after about half a minute.
   * @throws the error of the request; the signal's reason once it aborts
   */
  awaitPorts(version: string | undefined, signal: AbortSignal): Promise<StandingPorts>
  /** Asks the hypervisor where a port is. @throws the error of the request, also if the port is not the proxy's to hold */
  confirm(instance: string, signal: AbortSignal): Promise<StandingPort>
  /** Reports the last output of a port, of at most 80 KiB. @throws the error of the request */
  report(wanted: WantedLog, output: Buffer, signal: AbortSignal): Promise<void>
  /** Gives the ports to other proxies. @throws the error of the request */
  release(signal: AbortSignal): Promise<void>
}

/** The session for which the proxy dials a console that serves one connection, or the server whose serial port it stays attached to. */
export type PortClaim =
  | {
      readonly sessionId: string
      /** Whether to take the console over from the sessions at another proxy. */
      readonly takeOver: boolean
      /** Whether to hold the right of the one session that controls the console, instead of the connection. Default: no. */
      readonly exclusive?: boolean
    }
  | { readonly instance: string }

/** Knows the sessions of all proxies, and decides which of them has control of a console. */
export interface SharedControl extends Arbiter {
  /** Called once, before the first session is admitted. */
  subscribe(listener: ElsewhereListener): void
}

/** An open session whose page may invite to it. It may be in another process of this proxy. */
export interface InvitingSession {
  readonly id: string
  /** The `inviter` of its admission. */
  readonly inviter: string
}

export interface Authority extends AsyncDisposable {
  /**
   * Starts checking whether the authority can be used, and updating `health`. Called once, when the proxy starts.
   * Absent: the authority checks from its creation on.
   */
  watch?(log: Logger): void
  /**
   * Signs in and makes a request that changes nothing.
   * @throws ConfigError that names the key to change, if the authority cannot be used; the signal's reason once it aborts
   */
  verify?(signal: AbortSignal): Promise<void>
  /** Shown by `/readyz`. */
  readonly health: Health
  /** The circuit breaker of token look-ups, if there is one. Shown by `/metrics`. */
  readonly breaker?: Pick<Breaker, 'state'>
  /** The circuit breaker of `names`, which may fail while token look-ups succeed. */
  readonly namesBreaker?: Pick<Breaker, 'state'>
  /**
   * Resolves `token` on behalf of a client.
   * @throws Refused `unknown_token`, `console_moved`, `switched_off` or `authority_unavailable`; the signal's reason once it
   *   aborts
   */
  admit(token: Secret, client: { readonly address: string }, signal: AbortSignal): Promise<Admission>
  /**
   * Resolves the console of an earlier session on behalf of a client that has a ticket for it instead of the token. Absent:
   * sessions are not resumed.
   * @throws as `admit` does
   */
  resume?(grant: ResumeGrant, client: { readonly address: string }, signal: AbortSignal): Promise<Admission>
  /**
   * Returns where a console is, after the connection to it has ended. Absent: machines that move are not followed.
   * @throws Refused; the signal's reason once it aborts
   */
  locate?(console: LostConsole, signal: AbortSignal): Promise<Whereabouts>
  /**
   * Asks whether an open session may go on where its console is now, and returns that address. Absent: the authority keeps no
   * sessions, and what `locate` returns holds for all sessions of the console.
   * @throws Refused, or another error if the session was ended or revoked; the signal's reason once it aborts
   */
  follow?(console: LostConsole, signal: AbortSignal): Promise<Whereabouts>
  /** Absent: the authority does not know which servers run. */
  readonly standingPorts?: StandingPortDirectory
  /**
   * Holds a console that serves one connection, for all sessions of this proxy, until disposal. Waits until the proxy from
   * which a session takes it over has closed its connection. Absent: proxies do not know of each other.
   * @throws Refused `in_use` if another proxy has it; `unknown_token` or `authority_unavailable`; the signal's reason once it
   *   aborts
   */
  holdPort?(claim: PortClaim, signal: AbortSignal): Promise<Disposable>
  /** Absent: proxies do not know of each other. */
  readonly sharedControl?: SharedControl
  /** Returns the invitations to a session. Absent: no page may invite. */
  invitationsOf?(session: InvitingSession): SessionInvitations
  /** Whether `resume` needs the token, which tickets then contain, encrypted. Default: it does not. */
  readonly resumesByToken?: boolean
  /**
   * Returns the names under which a hypervisor may show an instance. Absent if admissions contain them.
   * @throws Refused `console_moved` or `authority_unavailable`; the signal's reason once it aborts
   */
  names?(instance: string, signal: AbortSignal): Promise<InstanceNames>
  /** The validation in force at the moment. Default: `built-in`. */
  readonly validation?: Validation
  /**
   * Confirms, before the proxy relays a byte, that the console still belongs to the instance. Absent if `admit` does so.
   * @returns the admission to dial, with the console's current address
   * @throws Refused; the signal's reason once it aborts
   */
  validate?(claim: ConsoleClaim, signal: AbortSignal): Promise<Admission>
}

/** Thrown when another service answers in place of the expected one. */
export class ImpostorError extends Error {
  override readonly name = 'ImpostorError'
}

/** Thrown when the authority returns a console that cannot be dialled. */
export class UnusableConnectInfo extends Error {
  override readonly name = 'UnusableConnectInfo'
}

/**
 * Converts Nova's connect info to an admission. Validates everything that is dialled, since the answer is external input.
 * @throws UnusableConnectInfo
 */
export function admissionOf(info: ConnectInfo): Admission {
  const { instance_uuid, host, port, internal_access_path } = info
  if (!isText(instance_uuid)) throw new UnusableConnectInfo('the instance_uuid is not a string')
  if (!isHost(host)) throw new UnusableConnectInfo(`the host is ${JSON.stringify(host)}`)
  if ('tls_port' in info) return nativeAdmission(info, host)
  if (!isPort(port)) throw new UnusableConnectInfo(`the port is ${JSON.stringify(port)}`)
  const path = optional(internal_access_path, isText, 'internal_access_path')
  return {
    instance: instance_uuid,
    host,
    port,
    ...(path === undefined ? {} : { internalAccessPath: path }),
  }
}

/**
 * Nova does not return the type, but the key `tls_port` reveals it while only one type is `portOptional`. The ports come
 * from the domain's XML, where an absent port reads null, 0 or -1. At least one of the two must be present.
 */
function nativeAdmission({ instance_uuid, port, tls_port }: ConnectInfo, host: string): Admission {
  const [clear, secure] = [optional(given(port), isPort, 'port'), optional(given(tls_port), isPort, 'tls_port')]
  if (clear === undefined && secure === undefined) throw new UnusableConnectInfo('both port and tls_port are missing')
  const tls = secure === undefined ? {} : { tlsPort: secure }
  const [type, ...others] = portOptionalTypes
  const known = type === undefined || others.length > 0 ? {} : { type }
  return { instance: instance_uuid, ...known, host, port: clear ?? 0, ...tls }
}

const given = (port: unknown) => (port === 0 || port === -1 ? undefined : port)

function optional<T>(value: unknown, fits: (value: unknown) => value is T, name: string): T | undefined {
  if (value === null || value === undefined) return undefined
  if (!fits(value)) throw new UnusableConnectInfo(`the ${name} is ${JSON.stringify(value)}`)
  return value
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '' && value.length <= 1024
const isPort = (value: unknown): value is number =>
  Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65535
/** A name or an address without brackets; a zone index may follow an IPv6 address. */
const isHost = (value: unknown): value is string =>
  typeof value === 'string' && value.length <= 255 && (isIP(value) === 6 || /^[\w.-]+$/.test(value))
