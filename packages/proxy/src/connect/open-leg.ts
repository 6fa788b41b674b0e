/** Opens the leg to the hypervisor: dials the console, confirms that it is still the instance's, and secures it. */
import { reachConfirmed } from '../admit/confirm.ts'
import { queryOf } from '../admit/token.ts'
import type { Admission, Authority, ConsoleClaim } from '../authority/authority.ts'
import { learnNames } from '../authority/instance-names.ts'
import { kindOf, type WebSocketConsoleType } from '../consoles/kinds.ts'
import { needsInstanceNames, secureLeg } from '../consoles/secure.ts'
import { dial } from '../hypervisor/dial.ts'
import { InputPermission } from '../hypervisor/input-permission.ts'
import type { SecuredLeg } from '../hypervisor/leg.ts'
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
export async function openLeg(
  { context, listener, upgrade, signal, client }: Connecting,
  claim: ConsoleClaim & { readonly type: WebSocketConsoleType },
  resources: DisposableStack,
): Promise<OpenLeg> {
  const { type } = claim
  const { identity, timing, metrics, budget } = context
  const names = needsInstanceNames(kindOf(type), identity)
    ? learnNames(timedNames(context, type), claim.admission, signal)
    : undefined
  // Consoles that need the names await this promise. If the dial fails first, it is not awaited, and its rejection must not count as unhandled.
  names?.catch(() => {})
  const dialConsole = (to: Admission, until: AbortSignal) =>
    metrics.timed('dial', type, () => dial(to, timing.dialTimeoutMs, until, budget.readLimit))
  const { reached, admission } = await reachConfirmed(timedValidation(context, type), claim, dialConsole, signal)
  const dialled = resources.use(reached)
  const limits = { timeoutMs: timing.hypervisorHandshakeMs, signal }
  const log = context.log.child({ listener: listener.address, client, instance: claim.admission.instance })
  const input = new InputPermission(claim.admission.role ?? 'control')
  const opening = { admission, query: queryOf(upgrade.request.url ?? ''), identity, input, names, log }
  const secure = () => secureLeg(kindOf(type), context.consoles[type], dialled, limits, opening)
  return { admission, input, ...(await metrics.timed('handshake', type, secure)) }
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
