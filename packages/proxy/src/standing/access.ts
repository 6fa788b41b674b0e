/** Opens the serial ports that the proxy stays attached to, by the same steps as those that a viewer opens. */
import type { Admission, StandingPort, StandingPortDirectory } from '../authority/authority.ts'
import type { ConnectContext } from '../connect/context.ts'
import type { OpenedShare } from '../consoles/console.ts'
import { kindOf } from '../consoles/kinds.ts'
import { secureUpstream } from '../consoles/secure.ts'
import { dial } from '../hypervisor/dial.ts'
import type { PlainLeg, SecuredLeg } from '../hypervisor/leg.ts'
import { Refused } from '../refused.ts'
import type { PortAccess } from './held-port.ts'

type Context = Pick<ConnectContext, 'authority' | 'consoles' | 'identity' | 'timing' | 'budget' | 'log'>

/** The proxy needs no earlier output for itself. */
const QUERY = new URLSearchParams('replay=0')

export function accessTo(context: Context, directory: StandingPortDirectory, port: StandingPort): PortAccess {
  const { admission } = port
  return {
    join: (open, signal) =>
      context.consoles.serial.share!(
        { admission, query: QUERY },
        (until) => openHeld(context, port, open, until),
        signal,
      ),
    open: async (signal) => {
      using opening = new DisposableStack()
      const { timing, budget } = context
      const dialled = opening.use(await dial(admission, timing.dialTimeoutMs, signal, budget.readLimit))
      requireSame(port, await directory.confirm(admission.instance, signal))
      const secured = await secure(context, admission, dialled, signal)
      opening.move()
      return secured
    },
  }
}

/**
 * Opens the port, and reads once no other proxy holds it, so that viewers there learn that this proxy has it. Dials first: a
 * machine that is off is tried again and again, and must not cost the API a request each time.
 */
async function openHeld(
  { authority }: Context,
  { admission: { instance } }: StandingPort,
  open: (signal: AbortSignal) => Promise<SecuredLeg>,
  signal: AbortSignal,
): Promise<OpenedShare> {
  using opening = new DisposableStack()
  const opened = await open(signal)
  opening.use(opened.hypervisor)
  const hold = opening.use(await authority.holdPort?.({ instance }, signal))
  opening.move()
  return { ...opened, hold }
}

/** @throws Refused if another guest, or another owner, may have the port */
function requireSame(held: StandingPort, now: StandingPort): void {
  const isSame =
    now.projectId === held.projectId &&
    now.admission.host === held.admission.host &&
    now.admission.port === held.admission.port
  if (!isSame) throw new Refused('console_moved', 'the server has another owner, or its serial port another address')
}

function secure(context: Context, admission: Admission, dialled: PlainLeg, signal: AbortSignal): Promise<SecuredLeg> {
  const { consoles, identity, timing } = context
  const log = context.log.child({ instance: admission.instance })
  const limits = { timeoutMs: timing.hypervisorHandshakeMs, signal }
  return secureUpstream(kindOf('serial'), consoles.serial, dialled, limits, { admission, query: QUERY, identity, log })
}
