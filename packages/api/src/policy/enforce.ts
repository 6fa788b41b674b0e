/** Policy: which roles may do what. */
import type { Identity } from '../auth/authenticator.ts'
import { forbidden } from './forbidden.ts'
import { ADMIN_ROLE, type Policy, type PolicyRule, SERVICE_ROLE } from './rules.ts'

/** @throws Forbidden unless one of the caller's roles may, in a project. */
export function enforce(policy: Policy, rule: PolicyRule, identity: Identity): void {
  requireProject(rule, identity)
  if (!allows(policy, rule, identity)) throw forbidden(rule)
}

/** Whether one of the caller's roles may. */
export const allows = (policy: Policy, rule: PolicyRule, { roles }: Identity) =>
  roles.some((role) => policy[rule].includes(role))

/** @throws Forbidden for a token without a project. A service works for all projects, and needs none itself. */
export function requireProject(rule: PolicyRule, identity: Identity): void {
  if (identity.projectId === undefined && !isService(identity)) throw forbidden(rule)
}

/** Whether the caller sees what belongs to `projectId`. */
export function sees(identity: Identity, projectId: string): boolean {
  return isAdmin(identity) || identity.projectId === projectId
}

const isService = ({ roles }: Identity) => roles.includes(SERVICE_ROLE)
export const isAdmin = (identity: Identity) => identity.roles.includes(ADMIN_ROLE)
