/** POST /oriel/v1/sessions: a proxy sends a token and gets its console's address, if the console is still there. */
import { type AdmittedConsole, consoleTypes, isOpenable } from '@oriel/contract'
import type { ConsoleAuthToken } from '../console-auth-tokens/store.ts'
import { HttpFault } from '../http/faults.ts'
import type { ExtensionCall, ExtensionOperations } from '../http/mount-extension.ts'
import type { ConsoleAddress, SourceConsole } from '../sources/source.ts'
import { type AdmittedClient, clientOf, type Place, partiesOf, placeOfRestarting, tokenNotFound } from './admitted.ts'
import { auditTo } from './audit.ts'
import { type ConsoleNow, consoleNow } from './console-now.ts'
import type { SessionDeps } from './deps.ts'
import { requireEnforcedRole } from './enforced-role.ts'
import { knows, switchedOff } from './known-reasons.ts'
import { requireOwnProxy } from './proxy-owner.ts'
import { resumeSession } from './resume.ts'
import { sharedConsoleOf } from './shared-consoles.ts'
import type { NewSession, SessionRecord } from './store.ts'

type Call = ExtensionCall<'admitSession'> & { readonly body: AdmittedClient & { readonly token: string } }

const consoleMoved = () => new HttpFault(409, 'The console has moved since this token was created.')

/** Admits a session, by its token or as the continuation of an earlier session. */
export function admitSession(deps: SessionDeps): ExtensionOperations['admitSession'] {
  return async function admitSession(call) {
    const { body } = call
    await requireOwnProxy(deps, body.proxy_id, call.identity)
    const { session, console } =
      'token' in body ? await admitToken(deps, { ...call, body }) : await admitResumed(deps, { ...call, body })
    const shared = await sharedConsoleOf(deps, session)
    if (shared) deps.consoleNews.notify(session.serverId)
    return { session: { id: session.id, console: { ...console, ...(shared && { shared }) } } }
  }
}

type ResumeCall = ExtensionCall<'admitSession'> & {
  readonly body: AdmittedClient & { readonly resume: { readonly session_id: string } }
}

async function admitResumed(deps: SessionDeps, call: ResumeCall) {
  const { session, server, address, baseUrl } = await resumeSession(deps, call, call.body.resume.session_id)
  return { session, console: consoleOf(session, server, address, baseUrl) }
}

/**
 * Asks the source again for the console's address, and revokes a token whose address is stale: the server may have been
 * removed since, and another one may use its port.
 */
async function admitToken(deps: SessionDeps, call: Call) {
  const found = await findToken(deps, call)
  requireEnforcedRole(call, found)
  await requireUsableInvitation(deps, call, found)
  const now = await consoleNow(deps, found, call.signal)
  const mayRestart = now.difference !== undefined && now.mayRestart
  if (mayRestart && now.isSwitchedOff && knows(call.headers, 'switched_off')) throw switchedOff()
  const { server, address } = mayRestart ? placeOfRestarting(found.serverId) : await requireSame(deps, call, found, now)
  // The console of a server that restarts cannot be opened now, so its token stays unused.
  const token = mayRestart ? { ...found, singleUse: false } : found
  await useUp(deps, call, token)
  const session = await register(deps, call, token, server)
  auditTo(call.log).admitted(session)
  const expires_at = new Date(found.expiresAt).toISOString()
  const singleUse = token.singleUse ? { single_use: true } : {}
  const console = { ...consoleOf(found, server, address, found.accessUrlBase), expires_at, ...singleUse }
  return { session, console }
}

async function findToken({ tokens }: SessionDeps, call: Call): Promise<ConsoleAuthToken> {
  const found = await tokens.find(call.body.token)
  if (found) return found
  auditTo(call.log).refused(clientOf(call), 'unknown_token')
  throw tokenNotFound()
}

/** @throws HttpFault 404 once the session of the user who invited has ended */
async function requireUsableInvitation(deps: SessionDeps, call: Call, token: ConsoleAuthToken): Promise<void> {
  if (token.invitationId === null || (await deps.invitations.isUsable(token.invitationId))) return
  const detail = 'the inviting session has ended'
  auditTo(call.log).refused({ ...clientOf(call), ...partiesOf(token) }, 'unknown_token', detail)
  throw tokenNotFound()
}

async function requireSame(deps: SessionDeps, call: Call, token: ConsoleAuthToken, now: ConsoleNow): Promise<Place> {
  if (now.difference === undefined && isSame(now.address, token)) return now
  await deps.tokens.revoke(token.id)
  const difference = now.difference ?? 'the console has another address'
  auditTo(call.log).refused({ ...clientOf(call), ...partiesOf(token) }, 'console_moved', difference)
  throw consoleMoved()
}

const isSame = (now: ConsoleAddress, then: ConsoleAuthToken) =>
  now.host === then.host &&
  now.port === then.port &&
  (now.tlsPort ?? null) === then.tlsPort &&
  (now.internalAccessPath ?? null) === then.internalAccessPath

/** How long the page that used a token may open further channels with it. */
const CHANNELS_MS = 60_000

/** @throws HttpFault 404 if the token is for a single use and another client has used it */
async function useUp({ tokens }: SessionDeps, call: Call, token: ConsoleAuthToken): Promise<void> {
  if (!token.singleUse) return
  const { proxyId, clientAddress } = clientOf(call)
  const channelsMs = isOpenable(token.type) && consoleTypes[token.type].channelsShareToken ? CHANNELS_MS : 0
  if (await tokens.use(token.id, `${proxyId} ${clientAddress}`, channelsMs)) return
  auditTo(call.log).refused({ ...clientOf(call), ...partiesOf(token) }, 'unknown_token', 'the token is used up')
  throw tokenNotFound()
}

/**
 * Adds the session, and then looks the token up again: a revocation in between ended the server's sessions before this one.
 */
async function register(
  deps: SessionDeps,
  call: Call,
  token: ConsoleAuthToken,
  server: Place['server'],
): Promise<SessionRecord> {
  const { id, role, label, singleUse, invitationId, mayInvite } = token
  const options = { role, label, invitationId, mayInvite, usedTokenId: singleUse ? id : null }
  const session = await add(deps, { ...clientOf(call), ...partiesOf(token), ...options, serverName: server.name })
  if (await deps.tokens.find(call.body.token)) return session
  await deps.sessions.end(session.id, 'revoked')
  auditTo(call.log).refused({ ...clientOf(call), ...partiesOf(token) }, 'unknown_token', 'revoked meanwhile')
  throw tokenNotFound()
}

/** A token stays unused if its session cannot be added. If the store cannot be reached for that either, it is used up. */
async function add({ sessions, tokens }: SessionDeps, session: NewSession): Promise<SessionRecord> {
  try {
    return await sessions.add(session)
  } catch (error) {
    if (session.usedTokenId) await tokens.release(session.usedTokenId).catch(() => {})
    throw error
  }
}

function consoleOf(
  {
    serverId,
    projectId,
    userId,
    protocol,
    type,
    role,
    label,
    invitationId,
    mayInvite,
  }: ConsoleAuthToken | SessionRecord,
  server: Place['server'],
  address: SourceConsole,
  baseUrl: string,
): AdmittedConsole {
  return {
    instance_uuid: serverId,
    instance_name: server.name,
    project_id: projectId,
    user_id: userId,
    protocol,
    type,
    host: address.host,
    port: address.port,
    tls_port: address.tlsPort ?? null,
    internal_access_path: address.internalAccessPath ?? null,
    ...(address.password !== undefined && { password: address.password.reveal() }),
    base_url: baseUrl,
    role,
    label,
    ...(invitationId && { invited: true }),
    ...(mayInvite && { may_invite: true }),
  }
}
