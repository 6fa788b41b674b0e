/** Policy rules and the roles that each grants by default: Nova's rules, and Oriel's. */

/** The role that may see servers of other projects. */
export const ADMIN_ROLE = 'admin'

/** The role of other services, such as a proxy. */
export const SERVICE_ROLE = 'service'

export const policyDefaults = {
  'os_compute_api:os-remote-consoles': ['member', 'admin'],
  'os_compute_api:os-console-output': ['member', 'admin'],
  'os_compute_api:os-console-auth-tokens': ['admin', 'service'],
  'os_compute_api:servers:index': ['reader', 'member', 'admin'],
  'os_compute_api:servers:detail': ['reader', 'member', 'admin'],
  'os_compute_api:servers:show': ['reader', 'member', 'admin', 'service'],
  'oriel:sessions:admit': ['admin', 'service'],
  'oriel:sessions:list': ['reader', 'member', 'admin'],
  'oriel:sessions:end': ['member', 'admin'],
  'oriel:console-auth-tokens:revoke': ['member', 'admin'],
} as const satisfies Record<string, readonly string[]>

export type PolicyRule = keyof typeof policyDefaults
/** The granted roles by rule. */
export type Policy = Readonly<Record<PolicyRule, readonly string[]>>
