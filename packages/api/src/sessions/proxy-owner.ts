/** The ownership of a proxy: its id belongs to the credential that used it first. */
import { sha256Hex } from '@oriel/runtime'
import type { Identity } from '../auth/authenticator.ts'
import { HttpFault } from '../http/faults.ts'
import type { SessionDeps } from './deps.ts'
import { lostAfterMs } from './keeper.ts'

/**
 * Requires that the caller owns the proxy's id, and binds a free id to the caller. A rotated credential has the same user
 * and project, so it keeps the ownership. Another user may take the id over once the proxy counts as lost.
 * @throws HttpFault 403
 */
export async function requireOwnProxy(
  { config, sessions }: Pick<SessionDeps, 'config' | 'sessions'>,
  proxyId: string,
  identity: Identity,
): Promise<void> {
  if (await sessions.claimProxy(proxyId, ownerOf(identity), lostAfterMs(config.sessions.beat_seconds))) return
  const remedy = 'give each proxy its own authority.proxy_id'
  throw new HttpFault(403, `The proxy_id ${proxyId} belongs to another user's credential; ${remedy}.`)
}

/** The contract's pattern for ids, which paths are not checked against. */
const ID = /^[A-Za-z0-9._-]{1,64}$/

/** The proxy's id in the path. @throws HttpFault 400 */
export function proxyIdOf({ proxy_id: id = '' }: Readonly<Record<string, string>>): string {
  if (!ID.test(id)) throw new HttpFault(400, `Invalid input for proxy_id: must match ${ID.source}`)
  return id
}

const ownerOf = ({ userId, projectId }: Identity) => sha256Hex(JSON.stringify([userId, projectId ?? null]))
