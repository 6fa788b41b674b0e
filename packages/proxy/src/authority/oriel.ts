/**
 * The authority `oriel`: Oriel's own API admits each session, after it has confirmed that the console is still at the
 * token's address. It also returns type, expiry and base URL, keeps a list of sessions, and may end one.
 */
import { randomUUID } from 'node:crypto'
import {
  type AdmittedConsole,
  consoleRoles,
  type ExtensionBody,
  isConsoleType,
  type OpenableConsoleType,
  opens,
  refusalNames,
  type SerialPort,
} from '@oriel/contract'
import { ConfigError, type Logger, Secret, unixSocketPath, within } from '@oriel/runtime'
import { type Auth, createClient, type Fetch } from '@oriel/sdk'
import { kindOf } from '../consoles/kinds.ts'
import { type UnixSockets, unixSockets } from '../hypervisor/unix-socket.ts'
import type { SessionRecord } from '../session/open-session.ts'
import {
  type Admission,
  type Authority,
  admissionOf,
  type LostConsole,
  UnusableConnectInfo,
  type Whereabouts,
} from './authority.ts'
import { startBeats } from './beats.ts'
import { Breaker, type BreakerOptions } from './breaker.ts'
import { type AuthorityKeys, DEFAULT_KEYS, diagnosing, followSignIn } from './diagnose.ts'
import { invitationsOf } from './invitations.ts'
import { Ledger } from './ledger.ts'
import { PortHolds } from './port-holds.ts'
import { ControlWatch, PATIENT_MS } from './shared-control.ts'
import { standingPortDirectory } from './standing-ports.ts'
import { judgeService, judgeToken, probe, type Verdict } from './verdict.ts'

export interface OrielAuthorityOptions {
  /**
   * The API's root, such as `http://127.0.0.1:8774`, or its compute endpoint. Default: the endpoint in the catalogue of
   * `auth`.
   */
  readonly endpoint?: string | undefined
  /** The proxy's credential. Its role must allow it to admit sessions. */
  readonly auth: Auth
  /** Deadline of one admission and of one beat. */
  readonly timeoutMs: number
  /** Identifies this proxy to the API; must be unique among running proxies. */
  readonly proxyId: string
  /** The Unix sockets that the API may name. Default: none can be dialled. */
  readonly sockets?: UnixSockets
  /** Equal for the processes of one proxy, which share their serial ports. Default: there is one. */
  readonly processGroup?: string | undefined
  readonly log: Logger
  /** In place of the platform's `fetch`. */
  readonly fetch?: Fetch
  readonly breaker?: BreakerOptions
  /** The names of the settings in messages about failures. Default: those of `proxy.toml`. */
  readonly keys?: AuthorityKeys
}

/** Creates the authority and starts its heartbeat. Disposal reports the sessions that ended since the last beat. */
export function orielAuthority(options: OrielAuthorityOptions): Authority {
  const { timeoutMs, proxyId, log, sockets = unixSockets([]) } = options
  const signIn = followSignIn(options.auth)
  const { oriel } = createClient({ ...options, auth: signIn.auth })
  const diagnose = diagnosing({ service: 'The API', rule: RULE, keys: options.keys ?? DEFAULT_KEYS, signIn })
  const breaker = new Breaker(options.breaker)
  const ledger = new Ledger({
    dropped: ({ id, reason }) =>
      log.error({ session: id, reason }, "a session's end was dropped before it was reported"),
  })
  const closing = new AbortController()
  const holds = new PortHolds({
    ...{ oriel, proxyId, timeoutMs, log, group: options.processGroup },
    refusedBy: (cause) => judgeService(cause, diagnose, 'The API did not say who has the console open').refused,
  })
  const patient = createClient({ ...options, auth: signIn.auth, timeoutMs: PATIENT_MS })
  const control = new ControlWatch({
    oriel: { moveControl: oriel.moveControl, awaitSharedConsoles: patient.oriel.awaitSharedConsoles },
    ...{ proxyId, log, beats: () => beats },
  })
  const beats = startBeats({
    ledger,
    onLostHolds: (ids) => holds.lost(ids),
    onSharedConsoles: () => control.watch(),
    send: (body, signal) => oriel.beat({ proxy_id: proxyId, body }, { signal }),
    lastBeatTimeoutMs: timeoutMs,
    diagnose,
    log,
  })
  const inviting = {
    ...{ oriel, closing: closing.signal },
    refusedBy: (cause: unknown) => judgeService(cause, diagnose, 'The API did not answer about invitations').refused,
  }
  log.info({ proxyId }, 'sessions will be reported')

  return {
    health: { name: 'authority', check },
    breaker,
    validation: 'built-in',
    admit: (token, { address }, signal) => admitWith({ token: token.reveal() }, address, signal),
    resume: ({ sessionId }, { address }, signal) => admitWith({ resume: { session_id: sessionId } }, address, signal),
    locate: (lost, signal) => whereabouts(lost, oriel.locateConsole, signal),
    follow: (lost, signal) => whereabouts(lost, oriel.followConsole, signal),
    standingPorts: standingPortDirectory({
      ...options,
      auth: signIn.auth,
      addressOf: (port) => serialAddress(port, sockets),
    }),
    holdPort: (claim, signal) => holds.hold(claim, signal),
    sharedControl: control,
    invitationsOf: (session) => invitationsOf(inviting, session),
    [Symbol.asyncDispose]: async () => {
      closing.abort(new Error('the proxy is closing'))
      await control[Symbol.asyncDispose]()
      await holds[Symbol.asyncDispose]()
      await beats[Symbol.asyncDispose]()
    },
  }

  async function whereabouts(
    { instance, type, sessionId }: LostConsole,
    ask: typeof oriel.locateConsole,
    signal: AbortSignal,
  ): Promise<Whereabouts> {
    const until = AbortSignal.any([signal, closing.signal])
    const { moving, address, off } = (await ask({ session_id: sessionId }, { signal: until })).console
    if (moving) return { is: 'moving' }
    if (address === null) return { is: off ? 'off' : 'gone' }
    const info = { instance_uuid: instance, type, ...address, internal_access_path: null, tls_port: null }
    const { instance: _, ...at } = addressOf(info, sockets)
    return { is: 'at', ...at }
  }

  async function check(signal?: AbortSignal): Promise<void> {
    await beats.check(signal)
    breaker.check()
  }

  /** `minted`: the token is in the request's body, so an answer does not come from a router or firewall that rejects the path. */
  function judge(cause: unknown): Verdict {
    return judgeToken(cause, { service: 'The API', diagnose, minted: true })
  }

  async function admitWith(credential: Credential, address: string, signal: AbortSignal): Promise<Admission> {
    const admitting = breaker.run(
      () => admit(credential, address),
      (error) => judge(error).evidence,
    )
    try {
      return await within(signal, admitting)
    } catch (cause) {
      if (!signal.aborted) throw judge(cause).refused
      admitting.then(({ record }) => record.ended('client_lost')).catch(() => {})
      throw signal.reason
    }
  }

  async function admit(credential: Credential, address: string): Promise<Recorded> {
    const body = { ...credential, proxy_id: proxyId, client_address: address }
    await holds.join()
    const { session } = await oriel.admitSession({ body }, { signal: closing.signal })
    const admitted = ledger.admitted(session.id)
    await control.admitted(session.console.shared)
    const record = session.console.single_use ? reportingUnopened(admitted) : admitted
    try {
      const inviter = session.console.may_invite ? { inviter: proxyId } : {}
      return { ...admissionOfConsole(session.console, sockets), ...inviter, record }
    } catch (error) {
      record.ended('console_unreachable')
      throw error
    }
  }

  /** Reports soon if the console was not opened: until then, the API takes the URL for used up, and the page dials again. */
  function reportingUnopened(record: SessionRecord): SessionRecord {
    return {
      ...record,
      ended: (reason, at) => {
        record.ended(reason, at)
        if (mayBeUnopened(reason)) beats.soon()
      },
    }
  }
}

const mayBeUnopened = (reason: string) => reason === 'client_lost' || refusalNames.some((name) => name === reason)

/** What names the console in the request to admit a session: a token, or the session to resume. */
type Credential = DistributiveOmit<ExtensionBody<'admitSession'>, 'proxy_id' | 'client_address'>
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never
type Recorded = Admission & { readonly record: SessionRecord }

/** @throws UnusableConnectInfo */
function admissionOfConsole(console: AdmittedConsole, sockets: UnixSockets): Admission {
  const {
    instance_name,
    protocol,
    type,
    base_url,
    expires_at,
    role = 'control',
    label,
    single_use,
    password,
    invited,
  } = console
  if (!isConsoleType(type) || !opens(protocol, type)) throw new UnusableConnectInfo(`the type is ${type}`)
  if (!URL.canParse(base_url)) throw new UnusableConnectInfo('the base_url is not a URL')
  if (!consoleRoles.includes(role)) throw new UnusableConnectInfo(`the role is ${role}`)
  if (expires_at !== undefined && Number.isNaN(Date.parse(expires_at)))
    throw new UnusableConnectInfo('expires_at is not a time')
  return {
    ...addressOf({ ...console, type }, sockets),
    instanceName: instance_name,
    type,
    baseUrl: base_url,
    ...(expires_at === undefined ? {} : { expiresAt: new Date(expires_at) }),
    role,
    ...(password ? { password: new Secret(password) } : {}),
    ...(label == null ? {} : { label }),
    ...(invited ? { invited } : {}),
    ...(single_use === undefined ? {} : { singleUse: single_use }),
  }
}

type Addressed = Pick<AdmittedConsole, 'instance_uuid' | 'host' | 'port' | 'internal_access_path' | 'tls_port'> & {
  readonly type: OpenableConsoleType
}

/** @throws UnusableConnectInfo */
function addressOf(console: Addressed, sockets: UnixSockets): Admission {
  const { type, instance_uuid, host, port, internal_access_path, tls_port } = console
  const path = unixSocketPath(host)
  if (path !== undefined) return { instance: instance_uuid, host, port: 0, socket: sockets(path) }
  const secure = kindOf(type).portOptional ? { tls_port } : {}
  return admissionOf({ instance_uuid, host, port, internal_access_path, ...secure })
}

/** @throws UnusableConnectInfo */
function serialAddress({ server_id, server_name, host, port }: SerialPort, sockets: UnixSockets): Admission {
  const path = unixSocketPath(host)
  const address =
    path === undefined
      ? admissionOf({ instance_uuid: server_id, host, port, internal_access_path: null })
      : { instance: server_id, host, port: 0, socket: sockets(path) }
  return { ...address, instanceName: server_name, type: 'serial' }
}

/**
 * Asks to admit a token that cannot exist, which tests sign-in, endpoint and role without starting heartbeats.
 * @throws ConfigError that names the key to change, if the authority cannot be used; the signal's reason once it aborts
 */
export async function verifyOriel(options: Omit<OrielAuthorityOptions, 'log'>, signal: AbortSignal): Promise<void> {
  const signIn = followSignIn(options.auth)
  const { oriel } = createClient({ ...options, auth: signIn.auth })
  const diagnose = diagnosing({ service: 'The API', rule: RULE, keys: options.keys ?? DEFAULT_KEYS, signIn })
  const body = { token: randomUUID(), proxy_id: options.proxyId, client_address: '127.0.0.1' }
  try {
    await probe(() => oriel.admitSession({ body }, { signal }))
  } catch (cause) {
    if (signal.aborted) throw signal.reason
    throw new ConfigError([diagnose(cause)], { cause })
  }
}

/** The API's policy rule for admissions and beats. */
const RULE = 'oriel:sessions:admit'
