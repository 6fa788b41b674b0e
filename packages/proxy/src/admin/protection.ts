/** Describes, for each console type, the protection in force against a port that now belongs to another guest. */
import type { Validation } from '../authority/authority.ts'
import { type AuthorityParts, identityOf } from '../authority/config.ts'
import { type GuestCheck, kindOf, type ServedConsoleType } from '../consoles/kinds.ts'
import type { IdentitySetting } from '../hypervisor/config.ts'
import { EXEMPT, type HypervisorHost } from '../hypervisor/hosts.ts'
import { type ListenerConfig, servedTypes } from '../listen/config.ts'

/** The parts of the configuration that the protection follows from. */
interface ProtectionParts extends AuthorityParts {
  readonly listen: readonly ListenerConfig[]
}

/** What `/readyz` and `--check-config` show. */
export type Protection = Readonly<Partial<Record<ServedConsoleType, string>>>

/** The validation that follows from the configuration alone. */
export const validationOf = ({ authority }: Pick<AuthorityParts, 'authority'>): Validation =>
  authority.kind === 'nova' ? (authority.validate ?? 'untried') : 'built-in'

/** Lines for `--check-config`, one for each console type. */
export const describeProtection = (config: ProtectionParts): string[] =>
  Object.entries(protectionOf(config, validationOf(config))).map(([type, text]) => `${type}: ${text}`)

/** One sentence for each console type that the listeners serve. */
export function protectionOf(config: ProtectionParts, validation: Validation): Protection {
  const identity = identityOf(config)
  const types = [...new Set(config.listen.flatMap(servedTypes))]
  return Object.fromEntries(
    types.map((type) => [type, `identity ${identity}: ${checkOf(type, config)}; ${validations[validation]}`]),
  )
}

function checkOf(type: ServedConsoleType, config: ProtectionParts): string {
  const identity = identityOf(config)
  const check = identities[identity](type)
  const comparesNames = identity !== 'off' && kindOf(type).guestCheck === 'desktop-name'
  const exceptions = comparesNames ? Object.entries(config.hypervisor.hosts).flatMap(exceptionOf) : []
  return exceptions.length === 0 ? check : `${check} (${exceptions.join('; ')})`
}

/** Describes a hypervisor whose desktops are not named as QEMU names them. */
function exceptionOf([address, { identity }]: [string, HypervisorHost]): string[] {
  if (identity === undefined) return []
  return [
    `${address}: ${identity === EXEMPT ? 'not checked' : `the desktop must be called ${JSON.stringify(identity)}`}`,
  ]
}

const guestChecks: Readonly<Record<GuestCheck, string>> = {
  'desktop-name': 'the guest must show the name of the instance',
  uuid: 'the guest must show the UUID of the instance',
  'spice-alone': 'only SPICE is relayed; the guest cannot be identified',
  'no-identifying-protocol': 'neither VNC nor SPICE is relayed; the guest cannot be identified',
}

const identities: Readonly<Record<IdentitySetting, (type: ServedConsoleType) => string>> = {
  off: () => 'the guest is not checked',
  warn: () => 'another guest is logged, but not refused',
  enforce: (type) => guestChecks[kindOf(type).guestCheck],
}

const validations: Readonly<Record<Validation, string>> = {
  fresh: 'validate fresh: Nova creates a new console of the instance, and the proxy dials only its address',
  state:
    'validate state: Nova confirms that the server can have a console and has not changed its host; a port that changed hands on that host is not detected',
  off: 'validate off: a port that changed hands is not detected',
  untried:
    'validate fresh, or state if Nova does not let the service user create consoles: the first console will show which',
  'built-in': 'validate built in: oriel-api looks for the console again before each session',
}
