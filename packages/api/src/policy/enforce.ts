/** Enforces the policy on callers by their roles. */
import type { Identity } from '../auth/authenticator.ts'
import { forbidden } from './forbidden.ts'
import { ADMIN_ROLE, type Policy, type PolicyRule, rolesOf, SERVICE_ROLE } from './rules.ts'

/** @throws Forbidden unless the rule grants one of the caller's roles, and the caller has a project */
export function enforce(policy: Policy, rule: PolicyRule, identity: Identity): void {
  requireProject(rule, identity)
  if (!allows(policy, rule, identity)) throw forbidden(rule)
}

/** Whether the rule grants one of the caller's roles. */
export const allows = (policy: Policy, rule: PolicyRule, { roles }: Identity) =>
  roles.some((role) => rolesOf(policy, rule).includes(role))

/** @throws Forbidden for a token without a project, except for a service, which works for all projects */
export function requireProject(rule: PolicyRule, identity: Identity): void {
  if (identity.projectId === undefined && !isService(identity)) throw forbidden(rule)
}

/** Whether the caller may see servers and sessions of `projectId`. */
export function sees(identity: Identity, projectId: string): boolean {
  return isAdmin(identity) || identity.projectId === projectId
}

const isService = ({ roles }: Identity) => roles.includes(SERVICE_ROLE)
export const isAdmin = (identity: Identity) => identity.roles.includes(ADMIN_ROLE)
