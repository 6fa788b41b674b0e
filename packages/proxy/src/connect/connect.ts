/** Connects a client to its console: from the Upgrade request to an open session. */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { sha256Hex } from '@oriel/runtime'
import { type Credential, requireCredential } from '../admit/credential.ts'
import { admitScheme } from '../admit/origin.ts'
import { plainAddress } from '../admit/site.ts'
import { queryOf, requireSameType } from '../admit/token.ts'
import type { Admission } from '../authority/authority.ts'
import type { WebSocketConsoleType } from '../consoles/kinds.ts'
import { Refused } from '../refused.ts'
import type { ResumeTicket } from '../resume/grant.ts'
import { newHandle } from '../resume/tickets.ts'
import type { SessionParties } from '../session/open-session.ts'
import { accept } from './accept.ts'
import { arrive, checkRequest, refuseWhenDraining, type WebSocketRoute } from './arrive.ts'
import type { ConnectContext, Connecting, ListenerFacts } from './context.ts'
import { holdExclusively } from './hold-exclusively.ts'
import { takeSeat } from './join-console.ts'
import { openLeg } from './open-leg.ts'
import { connectPresence, isPresencePath } from './presence.ts'
import { refuse, type UpgradeRequest } from './refuse.ts'
import { openTicket, resumeAt, sealedGrant } from './resume.ts'
import { startSession } from './run-session.ts'
import { chooseSubprotocol, pageKeyDigest, subprotocolsOf } from './upgrade.ts'

/** Connects a client, or refuses it with a status. Never rejects. */
export async function handleUpgrade(
  context: ConnectContext,
  listener: ListenerFacts,
  upgrade: UpgradeRequest,
): Promise<void> {
  using left = watchClient(upgrade.socket)
  const signal = AbortSignal.any([left.signal, context.closing])
  const client = plainAddress(upgrade.request.socket.remoteAddress)
  const connecting: Connecting = { context, listener, upgrade, signal, client }
  try {
    await connect(connecting)
  } catch (error) {
    if (left.signal.aborted) reportLeft(connecting)
    else refuseClient(connecting, error instanceof Refused ? error : refusedBy(context, error))
  }
}

/** @throws Refused; the signal's reason once it aborts */
function connect(connecting: Connecting): Promise<void> {
  const route = checkRequest(connecting)
  return isPresencePath(route.path) ? connectPresence(connecting, route) : connectConsole(connecting, route)
}

/**
 * Each step may refuse. The order matters: checks without the authority come before it, so that a flood of bad requests
 * does not reach it; the hypervisor is dialled last; and 101 is sent only once the console is there.
 * @throws Refused; the signal's reason once it aborts
 */
async function connectConsole(connecting: Connecting, { type }: WebSocketRoute): Promise<void> {
  const { context, listener, upgrade } = connecting
  const { request } = upgrade
  const console = context.consoles[type]
  const offered = request.headers['sec-websocket-protocol']
  const subprotocol = chooseSubprotocol(offered, console.subprotocols)
  const pageKey = pageKeyDigest(offered)
  using arrival = arrive(connecting)
  const { site } = arrival
  const credential = credentialOf(request)
  const origin = arrival.admitOrigin()
  const { claimed, tokenDigest, grant } = await admit(connecting, credential, type)
  requireSameType(claimed.type, type)
  admitScheme(origin, site, claimed.baseUrl)
  const parties: SessionParties = {
    tokenDigest,
    instance: claimed.instance,
    client: site.client,
  }
  using resources = new DisposableStack()
  const { role = 'control', label, singleUse } = claimed
  const takeOver = queryOf(request.url ?? '').get('take_over') === '1'
  const slot = resources.use(
    await context.slots.enter({ ...parties, type, role, label, takeOver, singleUse, resumes: grant !== undefined }),
  )
  const id = claimed.record?.id ?? randomUUID()
  const claim = { admission: claimed, type, tokenDigest, sessionId: id }
  const hold = holdExclusively(connecting, claim, takeOver)
  if (hold) resources.use(await hold)
  const leg = await openLeg(connecting, claim, resources)
  const facts = { ...parties, type, role, ...(label === undefined ? {} : { label }), listener: listener.address }
  const maxMs = remainingMs(context.timing.maxSessionMs, grant)
  const seat = await takeSeat(context, console, { id, facts, maxMs, hasPage: pageKey !== undefined, ...leg })
  if (seat) resources.use(seat)
  const handle = grant?.handle ?? (pageKey === undefined ? undefined : newHandle())
  if (pageKey !== undefined && handle !== undefined) {
    const sealed = sealedGrant(context, { ...facts, sessionId: id, type, handle, claimed, credential, grant })
    const inviting = claimed.inviter === undefined ? {} : { inviter: claimed.inviter }
    resources.use(await context.pageSessions.add(pageKey, { id, facts, ...sealed, ...inviting }))
  }
  refuseWhenDraining(context)
  await accept(upgrade, subprotocol, (client) => {
    context.metrics.admission('admitted')
    context.unauthenticatedLimits.admitted(request.socket)
    slot.opened()
    const stream = upgrade.socket
    const held = resources.move()
    const resumes = grant !== undefined
    startSession(context, {
      ...leg,
      id,
      facts,
      handle,
      resumes,
      client,
      maxMs,
      stream,
      console,
      slot,
      seat,
      resources: held,
    })
  })
}

const credentialOf = ({ url: target, headers }: IncomingMessage) =>
  requireCredential({
    target,
    cookie: headers.cookie,
    subprotocols: subprotocolsOf(headers['sec-websocket-protocol']),
  })

/** The result of admitting a client. */
interface Admitted {
  readonly claimed: Admission
  readonly tokenDigest: string
  /** The grant of a client that resumes a session. */
  readonly grant?: ResumeTicket
}

/** Looks the token up, or the session to resume. @throws Refused */
async function admit(connecting: Connecting, credential: Credential, type: WebSocketConsoleType): Promise<Admitted> {
  const { context, signal, client } = connecting
  const lookUp = () => lookUpCredential(connecting, credential, type)
  const admitted = await context.unauthenticatedLimits.ask(client, lookUp, signal)
  connecting.record = admitted.claimed.record
  connecting.role = admitted.claimed.role
  return admitted
}

async function lookUpCredential(
  { context: { authority, metrics, tickets }, signal, client: address }: Connecting,
  credential: Credential,
  type: WebSocketConsoleType,
): Promise<Admitted> {
  const timed = (ask: () => Promise<Admission>) => metrics.timed('authority', type, ask)
  if ('token' in credential) {
    const { token } = credential
    const claimed = await timed(() => authority.admit(token, { address }, signal))
    return { claimed, tokenDigest: sha256Hex(token.reveal()) }
  }
  const grant = openTicket(tickets, credential.ticket, type)
  const claimed = await timed(() => resumeAt(authority, grant, { address }, signal))
  return { claimed, tokenDigest: grant.tokenDigest, grant }
}

/** How long the session may last, counted from the opening of the first session. 0: without limit. */
const remainingMs = (maxMs: number, grant: ResumeTicket | undefined): number =>
  maxMs > 0 && grant ? Math.max(1, grant.openedAt + maxMs - Date.now()) : maxMs

function reportLeft({ context, listener, client, record }: Connecting): void {
  record?.ended('client_lost')
  context.log.info({ listener: listener.address, client }, 'client left before its console opened')
}

const REFUSED_PAGE =
  'a page was refused a console: origin.allowed does not list its origin; if the page is yours, add this line'

function refuseClient({ context, listener, client, record, role, upgrade }: Connecting, refused: Refused): void {
  const { refusal, message: detail, cause: err, allow } = refused
  record?.ended(refusal)
  context.metrics.admission(refusal)
  const level = err === undefined ? 'info' : 'warn'
  context.log[level]({ listener: listener.address, client, refusal, detail, err }, 'refused')
  if (allow !== undefined) context.refusedOrigins.report(allow, REFUSED_PAGE)
  refuse(upgrade, refused, role)
}

function refusedBy({ closing, log }: ConnectContext, cause: unknown): Refused {
  if (closing.aborted) return new Refused('draining', 'the proxy stopped before the console opened')
  log.error({ err: cause }, 'a connect failed with an unexpected error of the proxy')
  return new Refused('authority_unavailable', 'an unexpected error of the proxy', { cause })
}

/** Returns a signal that aborts if the client's connection closes before disposal. */
function watchClient(socket: Duplex): Disposable & { readonly signal: AbortSignal } {
  const left = new AbortController()
  const abort = () => left.abort(new Error('the client left'))
  socket.once('close', abort).on('error', ignoreError)
  return { signal: left.signal, [Symbol.dispose]: () => void socket.off('close', abort) }
}

/** Without a listener for `error`, a reset would end the process. `close` reports it as well. */
const ignoreError = () => {}
