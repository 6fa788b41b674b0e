/**
 * Opens the leg to the hypervisor: dials the console, confirms that it is still the instance's, and secures it. Sessions of a
 * console type that shares its leg join the one that is open.
 */
import { reachConfirmed } from '../admit/confirm.ts'
import { queryOf } from '../admit/token.ts'
import type { Admission, Authority, ConsoleClaim } from '../authority/authority.ts'
import { learnNames } from '../authority/instance-names.ts'
import type { Console, DialledOpening, Opening } from '../consoles/console.ts'
import { kindOf, type WebSocketConsoleType } from '../consoles/kinds.ts'
import { needsInstanceNames, secureLeg, secureShared, secureUpstream } from '../consoles/secure.ts'
import { dial } from '../hypervisor/dial.ts'
import { InputPermission } from '../hypervisor/input-permission.ts'
import type { PlainLeg, SecuredLeg } from '../hypervisor/leg.ts'
import type { ConnectContext, Connecting } from './context.ts'

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

type Claim = ConsoleClaim & { readonly type: WebSocketConsoleType }

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
  const secured = await secure(connecting, type, dialled, { admission, names, input }, signal)
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
  const open = async (admission: Admission, until: AbortSignal) => {
    using opening = new DisposableStack()
    const dialled = opening.use(await dialConsole(context, type, admission, until))
    const secured = await secure(connecting, type, dialled, { admission }, until)
    opening.move()
    return secured
  }
  const query = queryOf(connecting.upgrade.request.url ?? '')
  const input = inputOf(claim)
  const reach = async (to: Admission, until: AbortSignal) => {
    const join = () => share({ admission: to, query }, (dialling) => open(to, dialling), until)
    return secureShared(kindOf(type), context.consoles[type], join, { identity: context.identity, input })
  }
  const { reached, admission } = await reachConfirmed(timedValidation(context, type), claim, reach, signal)
  // The bytes that the handshake left over are part of the shared output.
  return { admission, input, hypervisor: resources.use(reached), rest: Buffer.alloc(0) }
}

const inputOf = ({ admission }: Claim) => new InputPermission(admission.role ?? 'control')

const dialConsole = ({ metrics, timing, budget }: ConnectContext, type: string, to: Admission, until: AbortSignal) =>
  metrics.timed('dial', type, () => dial(to, timing.dialTimeoutMs, until, budget.readLimit))

/** Does the handshake with the hypervisor, with its duration measured. @param known has no `input` for a leg that is shared */
function secure(
  { context, listener, upgrade, client }: Connecting,
  type: WebSocketConsoleType,
  dialled: PlainLeg,
  known: Pick<DialledOpening, 'admission' | 'names'> & Partial<Pick<Opening, 'input'>>,
  signal: AbortSignal,
): Promise<SecuredLeg> {
  const { consoles, identity, timing, metrics } = context
  const limits = { timeoutMs: timing.hypervisorHandshakeMs, signal }
  const log = context.log.child({ listener: listener.address, client, instance: known.admission.instance })
  const opening = { ...known, query: queryOf(upgrade.request.url ?? ''), identity, log }
  const kind = kindOf(type)
  const { input } = known
  return metrics.timed('handshake', type, () =>
    input
      ? secureLeg(kind, consoles[type], dialled, limits, { ...opening, input })
      : secureUpstream(kind, consoles[type], dialled, limits, opening),
  )
}

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
