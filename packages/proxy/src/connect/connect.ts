/** An Upgrade, from the request to the end of its session. `connect` lists the steps; each may refuse. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { OpenableConsoleType } from '@oriel/contract'
import { type AddressSet, type Logger, type RefusedOrigins, Secret, sha256Hex } from '@oriel/runtime'
import { type WebSocket, WebSocketServer } from 'ws'
import { reachConfirmed } from '../admit/confirm.ts'
import type { ForwardedHeader } from '../admit/forwarded.ts'
import type { Limits, Places } from '../admit/limits.ts'
import { admitLocal } from '../admit/local.ts'
import { type AllowedOrigin, admitOrigin, admitScheme, type PublicPlace } from '../admit/origin.ts'
import { plainAddress, readSite } from '../admit/site.ts'
import type { Strangers } from '../admit/strangers.ts'
import { isToken, queryOf, requestToken } from '../admit/token.ts'
import type { Admission, Authority } from '../authority/authority.ts'
import { learnNames } from '../authority/instance-names.ts'
import { ClientFault, type Console } from '../consoles/console.ts'
import type { Consoles } from '../consoles/index.ts'
import {
  isNativeType,
  kindOf,
  type NativeConsoleType,
  type ServedConsoleType,
  type WebSocketConsoleType,
} from '../consoles/kinds.ts'
import { routeOf } from '../consoles/route.ts'
import { needsInstanceNames, secureLeg } from '../consoles/secure.ts'
import type { IdentitySetting } from '../hypervisor/config.ts'
import { dial } from '../hypervisor/dial.ts'
import type { HypervisorSocket } from '../hypervisor/leg.ts'
import type { ProxyMetrics } from '../metrics.ts'
import { Refused } from '../refused.ts'
import type { BufferBudget } from '../session/buffer-budget.ts'
import type { SessionFacts, SessionParties, SessionRecord } from '../session/open-session.ts'
import { Relay } from '../session/relay.ts'
import { Session } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { startSessionTimers } from '../session/timers.ts'
import type { Timing } from '../timing.ts'
import { refuse, type UpgradeRequest } from './refuse.ts'
import { checkUpgrade, chooseSubprotocol } from './upgrade.ts'

/** Serves a native console type. */
export interface NativeFront {
  /**
   * Answers a request if its path is that of a console file. Returns whether it does.
   * @param path below the listener's prefix
   */
  answer(listener: string, path: string, request: IncomingMessage, response: ServerResponse): boolean
}

/** What connects share: one object for the whole proxy. */
export interface ConnectContext {
  readonly consoles: Consoles
  readonly identity: IdentitySetting
  readonly authority: Authority
  /** Of this process alone, for native SPICE. */
  readonly limits: Limits
  /** Of the whole fleet. */
  readonly places: Places
  /** The memory for bytes that wait for clients. */
  readonly budget: BufferBudget
  readonly sessions: Sessions
  /** The front of each native type; `undefined` for one that is not served. */
  readonly fronts: Readonly<Record<NativeConsoleType, NativeFront | undefined>>
  readonly allowedOrigins: readonly AllowedOrigin[]
  readonly refusedOrigins: RefusedOrigins
  readonly trustedProxies: AddressSet
  /** The header of trusted proxies that is read. Default: both. */
  readonly forwardedHeader?: ForwardedHeader | undefined
  /** Bounds what clients without a console may cost. */
  readonly strangers: Strangers
  readonly enforceTokenExpiry: boolean
  readonly timing: Timing
  readonly metrics: ProxyMetrics
  readonly log: Logger
  readonly draining: () => boolean
  /** Aborts when connects that are not through yet must give up. */
  readonly closing: AbortSignal
}

/** The listener through which a request came. */
export interface ListenerFacts {
  /** `host:port` as bound. */
  readonly address: string
  readonly consoles: readonly ServedConsoleType[]
  /** Whether it serves only programs and pages of this machine, as {@link admitLocal} defines them. */
  readonly onlyLocal: boolean
  /** The public address. */
  readonly place: PublicPlace
}

const REFUSED_PAGE =
  'a page was refused a console: origin.allowed does not list its origin; if the page is yours, add this line'

/** The largest message of a client: keys and pointer moves are tiny, a pasted text is not. */
const MAX_MESSAGE_BYTES = 1024 * 1024

/** Deals with one Upgrade: refused with a status, or handed over to a session of its own. Never rejects. */
export async function handleUpgrade(
  context: ConnectContext,
  listener: ListenerFacts,
  upgrade: UpgradeRequest,
): Promise<void> {
  const { socket } = upgrade
  const client: Connecting = { address: plainAddress(upgrade.request.socket.remoteAddress) }
  using gone = watchClient(socket)
  try {
    await connect(context, listener, upgrade, AbortSignal.any([gone.signal, context.closing]), client)
  } catch (error) {
    const facts = { listener: listener.address, client: client.address }
    if (gone.signal.aborted) {
      client.record?.ended('client_lost')
      return context.log.info(facts, 'client left before its console opened')
    }
    const refused = error instanceof Refused ? error : refusedBy(context, error)
    client.record?.ended(refused.refusal)
    context.metrics.admission(refused.refusal)
    const level = refused.cause === undefined ? 'info' : 'warn'
    context.log[level]({ ...facts, refusal: refused.refusal, detail: refused.message, err: refused.cause }, 'refused')
    if (refused.allow !== undefined) context.refusedOrigins.report(refused.allow, REFUSED_PAGE)
    refuse(upgrade, refused)
  }
}

/** What is known of a client while it connects. */
interface Connecting {
  address: string
  record?: SessionRecord | undefined
}

async function connect(
  context: ConnectContext,
  listener: ListenerFacts,
  upgrade: UpgradeRequest,
  signal: AbortSignal,
  client: Connecting,
): Promise<void> {
  const { timing, authority, metrics, identity } = context
  const { request } = upgrade
  refuseWhenDraining(context)
  checkUpgrade(request)
  if (listener.onlyLocal) admitLocal(request.rawHeaders, context.allowedOrigins)
  const type = requireType(listener, request)
  const console = context.consoles[type]
  const subprotocol = chooseSubprotocol(request.headers['sec-websocket-protocol'], console.subprotocols)
  const site = readSite(siteRequest(request), context.trustedProxies, context.forwardedHeader)
  client.address = site.client
  using _waiting = context.strangers.connecting(request.socket, site.client)
  const token = requireToken(request)
  const origin = admitOrigin(request.rawHeaders, site, context.allowedOrigins, listener.place)
  const admission = await context.strangers.ask(
    site.client,
    () => metrics.timed('authority', type, () => authority.admit(token, client, signal)),
    signal,
  )
  client.record = admission.record
  requireSameType(admission, type)
  admitScheme(origin, site, admission.baseUrl)
  const parties = partiesOf(token, admission, site.client)
  using taken = new DisposableStack()
  const place = taken.use(await context.places.enter({ ...parties, type }))
  const claim = { admission, type, tokenDigest: parties.tokenDigest }
  const names = needsInstanceNames(kindOf(type), identity)
    ? learnNames(timedNames(context, type), admission, signal)
    : undefined
  // Whoever needs them hears of it; before that, the dial may have failed.
  names?.catch(() => {})
  const { readLimit } = context.budget
  const dialIt = (to: Admission, until: AbortSignal) =>
    metrics.timed('dial', type, () => dial(to, timing.dialTimeoutMs, until, readLimit))
  const { reached, admission: confirmed } = await reachConfirmed(timedValidation(context, type), claim, dialIt, signal)
  const dialled = taken.use(reached)
  const limits = { timeoutMs: timing.hypervisorHandshakeMs, signal }
  const log = context.log.child({ listener: listener.address, client: site.client, instance: admission.instance })
  const opening = { admission: confirmed, query: queryOf(request.url ?? ''), identity, names, log }
  const { rest, hypervisor } = await metrics.timed('handshake', type, () =>
    secureLeg(kindOf(type), console, dialled, limits, opening),
  )
  refuseWhenDraining(context)
  const facts = { ...parties, type, listener: listener.address }
  await accept(upgrade, subprotocol, (socket) => {
    metrics.admission('admitted')
    context.strangers.admitted(request.socket)
    place.opened()
    letRun(context, {
      facts,
      socket,
      stream: upgrade.socket,
      hypervisor,
      console,
      rest,
      admission: confirmed,
      taken: taken.move(),
    })
  })
}

/** The authority, whose answers about names are timed as those about tokens are. */
function timedNames({ authority, metrics }: ConnectContext, type: string): Pick<Authority, 'names'> {
  if (!authority.names) return {}
  return { names: (instance, signal) => metrics.timed('names', type, () => authority.names!(instance, signal)) }
}

/** Wraps the authority so that validations are timed as well. */
function timedValidation({ authority, metrics }: ConnectContext, type: string): Pick<Authority, 'validate'> {
  if (!authority.validate) return {}
  return {
    validate: (claim, signal) => metrics.timed('validation', type, () => authority.validate!(claim, signal)),
  }
}

interface Opened {
  readonly facts: SessionFacts
  readonly socket: WebSocket
  /** What `socket` speaks through. */
  readonly stream: Duplex
  readonly hypervisor: HypervisorSocket
  readonly console: Console
  /** What the hypervisor sent beyond its handshake. */
  readonly rest: Buffer
  readonly admission: Admission
  /** What the session holds until it ends. */
  readonly taken: Disposable
}

/** Not awaited by whoever connects: what that took is let go of, however long the session lasts. */
function letRun(context: ConnectContext, opened: Opened): void {
  runSession(context, opened).catch((err) => {
    context.log.error({ err }, 'a session failed by a fault of the proxy')
    opened.socket.terminate()
  })
}

/**
 * Runs a session to its end, and then gives back at once whatever was taken for it; the client's answer to the close
 * frame is waited for elsewhere.
 */
async function runSession(context: ConnectContext, opened: Opened): Promise<void> {
  using _taken = opened.taken
  const { socket, facts, admission } = opened
  const { timing, metrics, sessions } = context
  const session = new Session(facts, socket, context.log, admission.record)
  metrics.sessionOpened(facts.type)
  sessions.add(
    session,
    session.ended.then((ending) => session.close(ending, timing.closeTimeoutMs)),
  )
  startSessionTimers(session, socket, timing, context.enforceTokenExpiry ? admission.expiresAt : undefined)
  await startRelay(context, session, opened)
  const { reason } = await session.ended
  metrics.sessionEnded(facts.type, reason)
}

/** Greets the client and relays. From the greeting's last byte to the relay's first there are no events in between. */
async function startRelay(
  { timing, metrics, budget }: ConnectContext,
  session: Session,
  opened: Opened,
): Promise<void> {
  const { socket, hypervisor, console, rest } = opened
  try {
    const greeted = await console.greet(socket, { timeoutMs: timing.clientHandshakeMs, signal: session.signal })
    session.relay = new Relay(hypervisor, socket, {
      acceptsText: console.acceptsText,
      stalledAfterMs: timing.stalledAfterMs,
      stream: opened.stream,
      budget,
      end: (ending) => session.end(ending),
      count: metrics.counter(session.facts.type),
    })
    session.relay.start({ fromHypervisor: rest, fromClient: greeted.rest })
  } catch (cause) {
    const fault = cause instanceof ClientFault ? cause.reason : 'proxy_error'
    session.end({ reason: fault, detail: (cause as Error).message, cause })
  }
}

/** Answers 101; `open` is called before anything that the client sends can be missed. */
async function accept(
  { request, socket, head }: UpgradeRequest,
  subprotocol: string | undefined,
  open: (socket: WebSocket) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const unopened = () => reject(new Error('the WebSocket did not open'))
  socket.once('close', unopened)
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    handleProtocols: () => subprotocol ?? false,
  })
  server.handleUpgrade(request, socket, head, (opened) => {
    socket.off('close', unopened)
    open(opened)
    resolve()
  })
  await promise
}

function refuseWhenDraining({ draining }: ConnectContext): void {
  if (draining()) throw new Refused('draining', 'the proxy is stopping')
}

function requireType({ consoles }: ListenerFacts, { url = '' }: IncomingMessage): WebSocketConsoleType {
  const route = routeOf(consoles, url)
  if (!route) throw new Refused('not_found', 'no console type has this path')
  if (isNativeType(route.type)) throw new Refused('not_found', `console type ${route.type} has no WebSocket`)
  return route.type
}

function requireToken({ url = '', headers }: IncomingMessage): Secret {
  const token = requestToken(url, headers.cookie)
  if (token === undefined) throw new Refused('missing_token', 'neither query nor cookie has a token')
  if (!isToken(token)) throw new Refused('unknown_token', 'the token is malformed')
  return new Secret(token)
}

function requireSameType({ type }: Admission, served: OpenableConsoleType): void {
  if (type === undefined || type === served) return
  throw new Refused('wrong_console_type', `the token is for ${type}, the address for ${served}`)
}

function siteRequest({ headers, rawHeaders, socket }: IncomingMessage) {
  return { headers, rawHeaders, peerAddress: socket.remoteAddress }
}

function partiesOf(token: Secret, { instance }: Admission, client: string): SessionParties {
  return { tokenDigest: sha256Hex(token.reveal()), instance, client }
}

function refusedBy({ closing, log }: ConnectContext, cause: unknown): Refused {
  if (closing.aborted) return new Refused('draining', 'the proxy stopped meanwhile')
  log.error({ err: cause }, 'a connect failed by a fault of the proxy')
  return new Refused('authority_unavailable', 'a fault of the proxy', { cause })
}

/** Aborts when the client's connection closes before it was answered. */
function watchClient(socket: Duplex): Disposable & { readonly signal: AbortSignal } {
  const gone = new AbortController()
  const left = () => gone.abort(new Error('the client left'))
  socket.once('close', left).on('error', unheard)
  return { signal: gone.signal, [Symbol.dispose]: () => void socket.off('close', left) }
}

/** Without a listener a reset would end the process; that the connection closed is told by `close`. */
const unheard = () => {}
