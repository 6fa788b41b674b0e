/** Policy rules and the roles that each grants by default: Nova's rules, and Oriel's. */

/** The rule for consoles that may be controlled, and for every console by Nova's routes. */
export const REMOTE_CONSOLES_RULE = 'os_compute_api:os-remote-consoles'

/** The rule for callers, and creators of consoles, who may invite to their sessions. */
export const INVITE_RULE = 'oriel:sessions:invite'

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
  'oriel:serial-ports:hold': ['admin', 'service'],
  'oriel:sessions:list': ['reader', 'member', 'admin'],
  'oriel:sessions:end': ['member', 'admin'],
  'oriel:sessions:invite': ['member', 'admin'],
  'oriel:console-auth-tokens:revoke': ['member', 'admin'],
} as const satisfies Record<string, readonly string[]>

/**
 * Rules that grant the roles of another rule unless the configuration sets them: an operator who restricts who creates
 * consoles, or lists servers, restricts every way to do it.
 */
export const policyFallbacks = {
  'oriel:consoles:create': REMOTE_CONSOLES_RULE,
  'oriel:servers:list': 'os_compute_api:servers:detail',
  'oriel:screenshots:show': 'oriel:consoles:create',
} as const satisfies Record<string, string>

type RuleWithRoles = keyof typeof policyDefaults
type RuleWithFallback = keyof typeof policyFallbacks
export type PolicyRule = RuleWithRoles | RuleWithFallback
/** The granted roles by rule, as configured. */
export type Policy = Readonly<Record<RuleWithRoles, readonly string[]>> &
  Readonly<Partial<Record<RuleWithFallback, readonly string[]>>>

/** The roles that a rule grants. */
export const rolesOf = (policy: Policy, rule: PolicyRule): readonly string[] =>
  isFallback(rule) ? (policy[rule] ?? rolesOf(policy, policyFallbacks[rule])) : policy[rule]

const isFallback = (rule: PolicyRule): rule is RuleWithFallback => Object.hasOwn(policyFallbacks, rule)
