/** What protects people from the guest that took the port of theirs, in force for each console type, in plain words. */
import type { Validation } from './admit/authority.ts'
import { type ProxyConfig, servedTypes } from './config.ts'
import type { IdentitySetting } from './consoles/console.ts'
import { identityOf } from './consoles/identity-setting.ts'
import type { ServedConsoleType } from './consoles/index.ts'

/** What `/readyz` and `--check-config` show. */
export type Protection = Readonly<Partial<Record<ServedConsoleType, string>>>

/** What will be in force, as far as the configuration alone tells. */
export const validationOf = ({ authority }: Pick<ProxyConfig, 'authority'>): Validation =>
  authority.kind === 'nova' ? (authority.validate ?? 'untried') : 'built-in'

/** Lines for `--check-config`, one for each console type. */
export const describeProtection = (config: ProxyConfig): string[] =>
  Object.entries(protectionOf(config, validationOf(config))).map(([type, text]) => `${type}: ${text}`)

/** One sentence for each console type that the listeners serve. */
export function protectionOf(config: ProxyConfig, validation: Validation): Protection {
  const identity = identityOf(config)
  const types = [...new Set(config.listen.flatMap(servedTypes))]
  return Object.fromEntries(
    types.map((type) => [type, `identity ${identity}: ${identities[identity](type)}; ${validations[validation]}`]),
  )
}

const SEEN: Readonly<Record<ServedConsoleType, string>> = {
  novnc: 'the guest must show the name of the instance',
  'spice-direct': 'the guest must show the UUID of the instance',
  'spice-html5': 'only SPICE is relayed, which guest speaks it cannot be seen',
  serial: 'neither VNC nor SPICE is relayed, which guest speaks cannot be seen',
  webmks: 'neither VNC nor SPICE is relayed, which guest speaks cannot be seen',
}

const identities: Readonly<Record<IdentitySetting, (type: ServedConsoleType) => string>> = {
  off: () => 'the guest is not looked at',
  warn: () => 'a guest that does not fit is logged, and passes',
  enforce: (type) => SEEN[type],
}

const validations: Readonly<Record<Validation, string>> = {
  fresh: 'validate fresh: Nova makes a new console of the instance, and only where that is the proxy dials',
  state:
    'validate state: Nova says that the server can have a console and has not changed its host; a port that changed hands on that host cannot be seen',
  off: 'validate off: a port that changed hands is not noticed',
  untried:
    'validate fresh, or state if Nova does not let the service user create consoles: the first console will show which',
  'built-in': 'validate built in: oriel-api looks for the console again before each session',
}
