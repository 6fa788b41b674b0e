/** POST /oriel/v1/sessions: a proxy sends a token and gets its console's address, if the console is still there. */
import type { AdmittedConsole } from '@oriel/contract'
import { canonicalAddress } from '@oriel/runtime'
import type { ConsoleAuthToken } from '../console-auth-tokens/store.ts'
import { HttpFault } from '../http/faults.ts'
import type { ExtensionCall, ExtensionOperations } from '../http/mount-extension.ts'
import { SourceError } from '../sources/errors.ts'
import type { Server } from '../sources/server.ts'
import type { ConsoleAddress, Source } from '../sources/source.ts'
import { withinDeadline } from '../sources/within-deadline.ts'
import { auditTo } from './audit.ts'
import type { SessionDeps } from './deps.ts'
import { requireOwnProxy } from './proxy-owner.ts'
import type { SessionRecord } from './store.ts'

type Call = ExtensionCall<'admitSession'>

const tokenNotFound = () => new HttpFault(404, 'Token not found')
const consoleMoved = () => new HttpFault(409, 'The console has moved since this token was created.')

/**
 * Admits a session. Asks the source again for the console's address, and revokes a token whose address is stale: the server
 * may have been removed since, and another one may use its port.
 */
export function admitSession(deps: SessionDeps): ExtensionOperations['admitSession'] {
  return async function admitSession(call) {
    await requireOwnProxy(deps, call.body.proxy_id, call.identity)
    const found = await findToken(deps, call)
    const server = await requireSamePlace(deps, call, found)
    const session = await register(deps, call, found, server)
    auditTo(call.log).admitted(session)
    return { session: { id: session.id, console: consoleOf(found, server) } }
  }
}

async function findToken({ tokens }: SessionDeps, call: Call): Promise<ConsoleAuthToken> {
  const found = await tokens.find(call.body.token)
  if (found) return found
  auditTo(call.log).refused(clientOf(call), 'unknown_token')
  throw tokenNotFound()
}

async function requireSamePlace(deps: SessionDeps, call: Call, token: ConsoleAuthToken): Promise<Server> {
  const { server, difference } = await compare(deps.source, token, call.signal)
  if (difference === undefined) return server!
  await deps.tokens.revoke(call.body.token)
  auditTo(call.log).refused({ ...clientOf(call), ...partiesOf(token) }, 'console_moved', difference)
  throw consoleMoved()
}

interface Comparison {
  readonly server?: Server
  /** The first difference to the time when the token was created. */
  readonly difference?: string
}

async function compare(source: Source, token: ConsoleAuthToken, signal: AbortSignal): Promise<Comparison> {
  const server = await withinDeadline(signal, source.find(token.serverId, { signal }))
  if (!server || server.vmState === 'deleted') return { difference: 'the server is gone' }
  if (server.projectId !== token.projectId) return { difference: 'the server has another owner' }
  const address = await addressNow(source, server, token, signal)
  if (!address) return { difference: 'the server has no such console any more' }
  return isSame(address, token) ? { server } : { difference: 'the console has another address' }
}

/** Errors by which a driver says that the console does not exist. For any other error the token is kept. */
const NO_CONSOLE: ReadonlySet<string> = new Set([
  'ConsoleTypeUnavailable',
  'ConsoleNotAvailable',
  'InstanceNotFound',
] satisfies SourceError['code'][])

async function addressNow(
  source: Source,
  server: Server,
  { protocol, type }: ConsoleAuthToken,
  signal: AbortSignal,
): Promise<ConsoleAddress | undefined> {
  try {
    return await withinDeadline(signal, source.console(server, protocol, type, { signal }))
  } catch (error) {
    if (error instanceof SourceError && NO_CONSOLE.has(error.code)) return undefined
    throw error
  }
}

const isSame = (now: ConsoleAddress, then: ConsoleAuthToken) =>
  now.host === then.host &&
  now.port === then.port &&
  (now.tlsPort ?? null) === then.tlsPort &&
  (now.internalAccessPath ?? null) === then.internalAccessPath

/**
 * Adds the session, and then looks the token up again: a revocation in between ended the server's sessions before this one.
 */
async function register(
  { sessions, tokens }: SessionDeps,
  call: Call,
  token: ConsoleAuthToken,
  server: Server,
): Promise<SessionRecord> {
  const session = await sessions.add({ ...clientOf(call), ...partiesOf(token), serverName: server.name })
  if (await tokens.find(call.body.token)) return session
  await sessions.end(session.id, 'revoked')
  auditTo(call.log).refused({ ...clientOf(call), ...partiesOf(token) }, 'unknown_token', 'revoked meanwhile')
  throw tokenNotFound()
}

const clientOf = ({ body: { proxy_id, client_address } }: Call) => ({
  proxyId: proxy_id,
  clientAddress: canonicalAddress(client_address) ?? client_address,
})

const partiesOf = ({ serverId, projectId, userId, protocol, type }: ConsoleAuthToken) => ({
  ...{ serverId, projectId, userId, protocol, type },
})

function consoleOf(token: ConsoleAuthToken, server: Server): AdmittedConsole {
  return {
    instance_uuid: token.serverId,
    instance_name: server.name,
    project_id: token.projectId,
    user_id: token.userId,
    protocol: token.protocol,
    type: token.type,
    host: token.host,
    port: token.port,
    tls_port: token.tlsPort,
    internal_access_path: token.internalAccessPath,
    base_url: token.accessUrlBase,
    expires_at: new Date(token.expiresAt).toISOString(),
  }
}
