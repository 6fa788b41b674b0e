/** Warnings about roles in the configuration that have no effect. */
import type { ConfigFault } from '@oriel/runtime'
import type { AuthConfig } from '../auth/config.ts'
import { ADMIN_ROLE, type Policy, policyDefaults, SERVICE_ROLE } from './rules.ts'

/**
 * Warns about roles without effect: a static token's role that no rule names, and a rule's role that no static token has.
 * The roles of users at Keystone or an issuer are unknown here.
 */
export function roleWarnings({ auth, policy }: { auth: AuthConfig; policy: Policy }): readonly ConfigFault[] {
  if (auth.method !== 'static' || auth.static === undefined) return []
  const { tokens } = auth.static
  const named = new Set([...Object.values(policy).flat(), ADMIN_ROLE, SERVICE_ROLE])
  const held = new Set(tokens.flatMap(({ roles }) => roles))
  const usual = new Set<string>(Object.values(policyDefaults).flat())
  return [
    ...tokens.flatMap(({ roles }, i) =>
      warningsOf(`auth.static.tokens[${i}].roles`, roles, (name) =>
        named.has(name) ? undefined : `no rule of policy names it; rules name ${[...named].toSorted().join(', ')}`,
      ),
    ),
    ...Object.entries(policy).flatMap(([rule, roles]) =>
      warningsOf(`policy.${JSON.stringify(rule)}`, roles, (name) =>
        held.has(name) || usual.has(name) ? undefined : 'no token of auth.static has it',
      ),
    ),
  ]
}

function warningsOf(path: string, roles: readonly string[], problemOf: (role: string) => string | undefined) {
  return roles.flatMap((name, i): ConfigFault[] => {
    const problem = problemOf(name)
    return problem
      ? [{ path: `${path}[${i}]`, message: `${JSON.stringify(name)}: ${problem}`, severity: 'warning' }]
      : []
  })
}
