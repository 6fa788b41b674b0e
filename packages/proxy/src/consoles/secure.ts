/**
 * Composes the leg of every console type: enforces `hypervisor.identity`, by the check that its descriptor names, and the
 * session's role.
 */
import type { IdentitySetting } from '../hypervisor/config.ts'
import type { InputPermission } from '../hypervisor/input-permission.ts'
import type { HypervisorSocket, PlainLeg, SecuredLeg, SharedLeg } from '../hypervisor/leg.ts'
import { Refused } from '../refused.ts'
import type { Console, DialledOpening, HandshakeLimits, IdentifyingConsole, Opening, Secured } from './console.ts'
import type { ConsoleKind, GuestCheck } from './kinds.ts'
import { carryingOnly, guardInput, identifying, NONE_THAT_IDENTIFIES, type ProtocolRule } from './protocol-guard.ts'

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
  refuseToWatch(console, opening.input)
  const { hypervisor, rest } = await secureUpstream(kind, console, dialled, limits, opening)
  return { hypervisor: limited(console, { hypervisor, rest }, opening.input), rest }
}

/**
 * Secures a leg as {@link secureLeg} does, without a limit on input: for a leg that several sessions share, whose roles may
 * differ.
 * @throws Refused
 */
export async function secureUpstream(
  kind: Kind,
  console: Console,
  dialled: PlainLeg,
  limits: HandshakeLimits,
  opening: DialledOpening,
): Promise<SecuredLeg> {
  const secured = { hypervisor: dialled, ...(await console.secure(dialled, limits, opening)) }
  return checkGuest(kind, console, secured, limits, opening)
}

/**
 * Joins a session to a leg that {@link secureUpstream} has secured, and limits the client's input. The guard of the shared leg
 * judges the input of all sessions as one stream; this one ends only the session that is to blame.
 * @throws Refused
 */
export async function secureShared(
  { guestCheck }: Kind,
  console: Console,
  join: () => Promise<SharedLeg>,
  { identity, input }: Pick<Opening, 'identity' | 'input'>,
): Promise<HypervisorSocket> {
  refuseToWatch(console, input)
  const shared = await join()
  const rule: ProtocolRule | undefined = rules[guestCheck]
  const hypervisor = rule && identity === 'enforce' ? guardInput(shared, rule) : shared
  return limited(console, { hypervisor, rest: Buffer.alloc(0) }, input)
}

/** Refuses watchers of a type whose input nothing withholds. */
function refuseToWatch({ limitInput }: Console, input: InputPermission): void {
  if (input.role === 'watch' && !limitInput)
    throw new Refused('wrong_console_type', 'the proxy cannot withhold the input of this console type from a watcher')
}

/** Outermost, so that it sees the client's bytes before any other decorator does. */
const limited = ({ limitInput }: Console, { hypervisor, rest }: SecuredLeg, input: InputPermission): HypervisorSocket =>
  limitInput?.(hypervisor, input, rest) ?? hypervisor

function checkGuest(
  { guestCheck }: Kind,
  console: Console,
  secured: SecuredLeg & Pick<Secured, 'rule'>,
  limits: HandshakeLimits,
  opening: DialledOpening,
): SecuredLeg | Promise<SecuredLeg> {
  const { identity, log } = opening
  const rule: ProtocolRule | undefined = rules[guestCheck]
  if (identity === 'off') return secured
  if (rule) return carryingOnly(secured.rule ?? rule, secured.hypervisor, identity, log, secured.rest)
  return (console as IdentifyingConsole).identify(secured, limits, { ...opening, identity })
}
