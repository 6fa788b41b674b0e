/** The check that a session is open at the proxy that acts for it. */
import { HttpFault } from '../http/faults.ts'
import type { SessionDeps } from './deps.ts'
import type { SessionRecord } from './store.ts'

/** @throws HttpFault 409 unless the session is open at the proxy */
export async function requireOpenAt(
  { sessions }: Pick<SessionDeps, 'sessions'>,
  id: string,
  proxyId: string,
): Promise<SessionRecord> {
  const session = await sessions.find(id)
  if (session?.proxyId === proxyId && session.endedAt === null) return session
  throw new HttpFault(409, `Session ${id} is not open at this proxy.`)
}
