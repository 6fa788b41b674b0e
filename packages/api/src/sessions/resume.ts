/**
 * POST /oriel/v1/sessions with `resume`: a page comes back to the console of an earlier session, for which its proxy has
 * checked the ticket. The console is the server's present one, wherever that is.
 */
import { isOpenable, openableConsoleTypes } from '@oriel/contract'
import type { HttpFault } from '../http/faults.ts'
import type { ExtensionCall } from '../http/mount-extension.ts'
import { type AdmittedClient, clientOf, type Place, partiesOf, placeOfRestarting, tokenNotFound } from './admitted.ts'
import { auditTo } from './audit.ts'
import { consoleNow } from './console-now.ts'
import type { SessionDeps } from './deps.ts'
import { requireEnforcedRole } from './enforced-role.ts'
import { knows, switchedOff } from './known-reasons.ts'
import type { SessionRecord } from './store.ts'

type Call = Pick<ExtensionCall<'admitSession'>, 'headers' | 'signal' | 'log'> & { readonly body: AdmittedClient }

/** @throws HttpFault 409 while the server is switched off; 404 if the session was ended or revoked, ended long ago, or its server is gone or has another owner */
export async function resumeSession(deps: SessionDeps, call: Call, sessionId: string) {
  const earlier = await requireResumable(deps, call, sessionId)
  requireEnforcedRole(call, earlier)
  const { server, address } = await requirePlace(deps, call, earlier)
  const { role, label, invitationId, mayInvite } = earlier
  const options = { role, label, invitationId, mayInvite }
  const session = await deps.sessions.add(
    { ...clientOf(call), ...partiesOf(earlier), ...options, serverName: server.name },
    earlier.id,
  )
  await requireNotEnded(deps, call, earlier, session)
  auditTo(call.log).admitted(session, earlier.id)
  return { session, server, address, baseUrl: baseUrlOf(deps, earlier) }
}

async function requireResumable({ sessions }: SessionDeps, call: Call, id: string): Promise<SessionRecord> {
  const found = await sessions.findResumable(id)
  if (found) return found
  auditTo(call.log).refused({ ...clientOf(call), resumes: id }, 'unknown_token', 'the session may not be resumed')
  throw tokenNotFound()
}

async function requirePlace(deps: SessionDeps, call: Call, earlier: SessionRecord): Promise<Place> {
  const now = await consoleNow(deps, earlier, call.signal)
  if (now.difference === undefined) return now
  if (now.isSwitchedOff && knows(call.headers, 'switched_off')) throw switchedOff()
  if (now.mayRestart) return placeOfRestarting(earlier.serverName)
  throw refused(call, earlier, now.difference)
}

/** Checks again after the session was added: an end in between did not reach it. */
async function requireNotEnded(
  { sessions }: SessionDeps,
  call: Call,
  earlier: SessionRecord,
  session: SessionRecord,
): Promise<void> {
  if (await sessions.findResumable(earlier.id)) return
  await sessions.end(session.id, 'revoked')
  throw refused(call, earlier, 'revoked meanwhile')
}

function refused(call: Call, earlier: SessionRecord, detail: string): HttpFault {
  auditTo(call.log).refused({ ...clientOf(call), ...partiesOf(earlier), resumes: earlier.id }, 'unknown_token', detail)
  return tokenNotFound()
}

/** The base URL of new consoles of the type: that of the token is not part of the record. */
function baseUrlOf({ config }: SessionDeps, { type }: SessionRecord): string {
  const openable = isOpenable(type) ? type : openableConsoleTypes[0]!
  return config.consoles[openable].base_url
}
