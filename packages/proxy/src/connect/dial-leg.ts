/** Dials a console and secures the leg to it, with the duration of each step measured. */
import type { Admission } from '../authority/authority.ts'
import type { DialledOpening, Opening } from '../consoles/console.ts'
import { kindOf, type WebSocketConsoleType } from '../consoles/kinds.ts'
import { secureLeg, secureUpstream } from '../consoles/secure.ts'
import { dial } from '../hypervisor/dial.ts'
import type { PlainLeg, SecuredLeg } from '../hypervisor/leg.ts'
import type { ConnectContext } from './context.ts'

/** The console to dial, and the request for which it is dialled. */
export interface UpstreamRequest extends Pick<DialledOpening, 'admission' | 'query' | 'log'> {
  readonly type: WebSocketConsoleType
}

/**
 * Dials a console and secures the leg, for all sessions that share it.
 * @throws Refused; the signal's reason once it aborts
 */
export async function openUpstream(
  context: ConnectContext,
  { type, ...known }: UpstreamRequest,
  signal: AbortSignal,
): Promise<SecuredLeg> {
  using opening = new DisposableStack()
  const dialled = opening.use(await dialConsole(context, type, known.admission, signal))
  const secured = await secure(context, type, dialled, known, signal)
  opening.move()
  return secured
}

export const dialConsole = (
  { metrics, timing, budget }: ConnectContext,
  type: string,
  to: Admission,
  until: AbortSignal,
) => metrics.timed('dial', type, () => dial(to, timing.dialTimeoutMs, until, budget.readLimit))

/** Does the handshake with the hypervisor, with its duration measured. @param known has no `input` for a leg that is shared */
export function secure(
  { consoles, identity, timing, metrics }: ConnectContext,
  type: WebSocketConsoleType,
  dialled: PlainLeg,
  known: Omit<DialledOpening, 'identity'> & Partial<Pick<Opening, 'input'>>,
  signal: AbortSignal,
): Promise<SecuredLeg> {
  const limits = { timeoutMs: timing.hypervisorHandshakeMs, signal }
  const opening = { ...known, identity }
  const kind = kindOf(type)
  const { input } = known
  return metrics.timed('handshake', type, () =>
    input
      ? secureLeg(kind, consoles[type], dialled, limits, { ...opening, input })
      : secureUpstream(kind, consoles[type], dialled, limits, opening),
  )
}
