/**
 * Opens the leg to the hypervisor: dials the console, confirms that it is still the instance's, and secures it. Sessions of a
 * console type that shares its leg join the one that is open.
 */
import { reachConfirmed } from '../admit/confirm.ts'
import { queryOf } from '../admit/token.ts'
import type { Admission, Authority, ConsoleClaim } from '../authority/authority.ts'
import { learnNames } from '../authority/instance-names.ts'
import type { Console, OpenedShare } from '../consoles/console.ts'
import { kindOf, type WebSocketConsoleType } from '../consoles/kinds.ts'
import { needsInstanceNames, secureShared } from '../consoles/secure.ts'
import { InputPermission } from '../hypervisor/input-permission.ts'
import type { SecuredLeg } from '../hypervisor/leg.ts'
import type { ConnectContext, Connecting } from './context.ts'
import { dialConsole, openUpstream, secure, type UpstreamRequest } from './dial-leg.ts'
import { LegMover } from './leg-mover.ts'

/** A leg to a console that belongs to the instance. */
export interface OpenLeg extends SecuredLeg {
  /** The admission by which the console was dialled. */
  readonly admission: Admission
  /** Decides whether the leg passes the client's input on. */
  readonly input: InputPermission
}

/**
 * @param claim the console as the authority named it when it admitted the token
 * @param resources disposes the leg
 * @throws Refused
 */
export function openLeg(connecting: Connecting, claim: Claim, resources: DisposableStack): Promise<OpenLeg> {
  const { share } = connecting.context.consoles[claim.type]
  return share ? openShared(connecting, claim, resources, share) : openOwn(connecting, claim, resources)
}

type Claim = ConsoleClaim & {
  readonly type: WebSocketConsoleType
  /** The session that opens the console. */
  readonly sessionId: string
}

const logOf = ({ context, listener, client }: Connecting, { instance }: Admission) =>
  context.log.child({ listener: listener.address, client, instance })

async function openOwn(connecting: Connecting, claim: Claim, resources: DisposableStack): Promise<OpenLeg> {
  const { context, signal } = connecting
  const { type } = claim
  const names = needsInstanceNames(kindOf(type), context.identity)
    ? learnNames(timedNames(context, type), claim.admission, signal)
    : undefined
  // Consoles that need the names await this promise. If the dial fails first, it is not awaited, and its rejection must not count as unhandled.
  names?.catch(() => {})
  const reach = (to: Admission, until: AbortSignal) => dialConsole(context, type, to, until)
  const { reached, admission } = await reachConfirmed(timedValidation(context, type), claim, reach, signal)
  const dialled = resources.use(reached)
  const input = inputOf(claim)
  const query = queryOf(connecting.upgrade.request.url ?? '')
  const known = { admission, names, input, query, log: logOf(connecting, admission) }
  const secured = await secure(context, type, dialled, known, signal)
  return { admission, input, ...secured }
}

/** Joins a leg that is open already, or opens it for this session and later ones. Each session's token is validated. */
async function openShared(
  connecting: Connecting,
  claim: Claim,
  resources: DisposableStack,
  share: NonNullable<Console['share']>,
): Promise<OpenLeg> {
  const { context, signal } = connecting
  const { type } = claim
  const query = queryOf(connecting.upgrade.request.url ?? '')
  const input = inputOf(claim)
  const mover = context.moves && new LegMover(context, context.moves, type)
  const reach = async (to: Admission, until: AbortSignal) => {
    const open = (dialling: AbortSignal) =>
      openHeld(connecting, claim, { type, admission: to, query, log: logOf(connecting, to) }, dialling)
    const join = () => share({ admission: to, query, sessionId: claim.sessionId, mover }, open, until)
    return secureShared(kindOf(type), context.consoles[type], join, { identity: context.identity, input })
  }
  const { reached, admission } = await reachConfirmed(timedValidation(context, type), claim, reach, signal)
  // The bytes that the handshake left over are part of the shared output.
  return { admission, input, hypervisor: resources.use(reached), rest: Buffer.alloc(0) }
}

/** Opens a console for all sessions of this proxy, and holds it, so that no other proxy dials it meanwhile. */
async function openHeld(
  connecting: Connecting,
  claim: Claim,
  request: UpstreamRequest,
  signal: AbortSignal,
): Promise<OpenedShare> {
  using opening = new DisposableStack()
  const hold = opening.use(await holdPort(connecting, claim, signal))
  const opened = await openUpstream(connecting.context, request, signal)
  opening.move()
  return { ...opened, hold }
}

function holdPort({ context, upgrade }: Connecting, { admission }: Claim, signal: AbortSignal) {
  const { record, role = 'control' } = admission
  if (!record || !context.authority.holdPort) return undefined
  const takeOver = role === 'control' && queryOf(upgrade.request.url ?? '').get('take_over') === '1'
  return context.authority.holdPort({ sessionId: record.id, takeOver }, signal)
}

const inputOf = ({ admission }: Claim) => new InputPermission(admission.role ?? 'control')

/** The authority's look-up of names, with its duration measured. */
function timedNames({ authority, metrics }: ConnectContext, type: string): Pick<Authority, 'names'> {
  if (!authority.names) return {}
  return { names: (instance, signal) => metrics.timed('names', type, () => authority.names!(instance, signal)) }
}

/** The authority's validation, with its duration measured. */
function timedValidation({ authority, metrics }: ConnectContext, type: string): Pick<Authority, 'validate'> {
  if (!authority.validate) return {}
  return {
    validate: (claim, signal) => metrics.timed('validation', type, () => authority.validate!(claim, signal)),
  }
}
