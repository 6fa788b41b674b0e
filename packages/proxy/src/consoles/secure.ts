/**
 * Composes the leg of every console type: enforces `hypervisor.identity`, by the check that its descriptor names, and the
 * session's role.
 */
import type { IdentitySetting } from '../hypervisor/config.ts'
import type { PlainLeg, SecuredLeg } from '../hypervisor/leg.ts'
import { Refused } from '../refused.ts'
import type { Console, HandshakeLimits, IdentifyingConsole, Opening, Secured } from './console.ts'
import type { ConsoleKind, GuestCheck } from './kinds.ts'
import { carryingOnly, identifying, NONE_THAT_IDENTIFIES, type ProtocolRule } from './protocol-guard.ts'

type Kind = Pick<ConsoleKind, 'guestCheck'>

/** The protocols that the relay allows for guests that do not identify themselves. `undefined`: the guest does. */
const rules = {
  'desktop-name': undefined,
  uuid: undefined,
  'spice-alone': { only: identifying.spice },
  'no-identifying-protocol': NONE_THAT_IDENTIFIES,
} as const satisfies Record<GuestCheck, ProtocolRule | undefined>

/** A check that compares the guest's name or UUID with the instance. */
export type ShownCheck = { [C in GuestCheck]: (typeof rules)[C] extends undefined ? C : never }[GuestCheck]

/** Whether a console of this kind needs the instance's names from the authority. */
export const needsInstanceNames = ({ guestCheck }: Kind, identity: IdentitySetting): boolean =>
  guestCheck === 'desktop-name' && identity !== 'off'

/**
 * Secures the leg to the hypervisor, makes sure that it leads to the instance, and limits the client's input, before 101.
 * @throws Refused
 */
export async function secureLeg(
  kind: Kind,
  console: Console,
  dialled: PlainLeg,
  limits: HandshakeLimits,
  opening: Opening,
): Promise<SecuredLeg> {
  refuseToWatch(console, opening)
  const secured = { hypervisor: dialled, ...(await console.secure(dialled, limits, opening)) }
  const checked = await checkGuest(kind, console, secured, limits, opening)
  return limited(console, console.attach?.(checked, opening) ?? checked, opening)
}

/** Refuses watchers of a type whose input nothing withholds. */
function refuseToWatch({ limitInput }: Console, { input }: Opening): void {
  if (input.role === 'watch' && !limitInput)
    throw new Refused('wrong_console_type', 'the proxy cannot withhold the input of this console type from a watcher')
}

/** Outermost, so that it sees the client's bytes before any other decorator does. */
function limited(console: Console, { hypervisor, rest }: SecuredLeg, { input }: Opening): SecuredLeg {
  return { hypervisor: console.limitInput?.(hypervisor, input) ?? hypervisor, rest }
}

function checkGuest(
  { guestCheck }: Kind,
  console: Console,
  secured: SecuredLeg & Pick<Secured, 'rule'>,
  limits: HandshakeLimits,
  opening: Opening,
): SecuredLeg | Promise<SecuredLeg> {
  const { identity, log } = opening
  const rule: ProtocolRule | undefined = rules[guestCheck]
  if (identity === 'off') return secured
  if (rule) return carryingOnly(secured.rule ?? rule, secured.hypervisor, identity, log, secured.rest)
  return (console as IdentifyingConsole).identify(secured, limits, { ...opening, identity })
}
