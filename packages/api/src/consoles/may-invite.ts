/** Decides, when a console is created, whether its page may invite to its session: the page itself has no credential. */
import type { Identity } from '../auth/authenticator.ts'
import type { TokenOptions } from '../console-auth-tokens/store.ts'
import { allows } from '../policy/enforce.ts'
import { INVITE_RULE, type Policy } from '../policy/rules.ts'

/**
 * Whether the page of a new console may invite. Neither a watcher nor a guest does. The creator of a single-use URL gives it
 * to somebody else, who may invite only if the creator asks for that.
 */
export function mayInvite(policy: Policy, options: Partial<TokenOptions>, identity: Identity): boolean {
  const { role = 'control', singleUse = false, invitationId = null, mayInvite: wanted = !singleUse } = options
  return wanted && role === 'control' && invitationId === null && allows(policy, INVITE_RULE, identity)
}
