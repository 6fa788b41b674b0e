/** Opens a console: runs the checks, gets the address, creates the token, and builds the access URL. */
import { accessUrl, type ConsoleType, EXPIRES_HEADER, type OpenableConsoleType, type Protocol } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import type { Identity } from '../auth/authenticator.ts'
import type { TokensConfig } from '../console-auth-tokens/config.ts'
import type { ConsoleAuthTokenStore, TokenOptions } from '../console-auth-tokens/store.ts'
import { HttpFault } from '../http/faults.ts'
import type { Call } from '../http/mount.ts'
import type { ApiMetrics } from '../metrics.ts'
import type { Policy } from '../policy/rules.ts'
import type { Server } from '../sources/server.ts'
import type { ConsoleAddress, Source } from '../sources/source.ts'
import { watchServer } from '../sources/watch-server.ts'
import { withinDeadline } from '../sources/within-deadline.ts'
import type { ConsolesConfig } from './config.ts'
import { type ActionVariant, driverFault, notReady } from './driver-faults.ts'
import { drivers, openable, refuseGone } from './drivers.ts'
import { mayInvite } from './may-invite.ts'

export interface ConsoleDeps {
  readonly config: {
    readonly policy: Policy
    readonly consoles: ConsolesConfig
    readonly tokens: Pick<TokensConfig, 'ttl_seconds' | 'max_ttl_seconds'>
  }
  readonly source: Source
  readonly tokens: ConsoleAuthTokenStore
  readonly metrics?: Pick<ApiMetrics, 'consoleCreated'>
}

/** A request for a console, by a caller who is allowed to open it. */
export interface Wanted {
  readonly server: Server
  readonly protocol: Protocol
  readonly type: ConsoleType
  readonly variant: ActionVariant
  /** Default: `tokens.ttl_seconds`. */
  readonly ttlSeconds?: number
  readonly options?: Partial<TokenOptions>
}

export interface OpenedConsole {
  readonly type: OpenableConsoleType
  readonly url: string
  readonly tokenId: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** The caller of either API. */
export interface Opener {
  readonly identity: Identity
  readonly signal: AbortSignal
  readonly log: Logger
}

/**
 * Opens a console and returns its access URL.
 * @throws HttpFault 400, 404, 409 or 501.
 */
export async function openConsole(deps: ConsoleDeps, wanted: Wanted, call: Opener): Promise<OpenedConsole> {
  const { server, protocol, options = {}, ttlSeconds = deps.config.tokens.ttl_seconds } = wanted
  refuseGone(protocol)
  requireHost(server)
  requireRest(server, protocol)
  const type = openable(protocol, wanted.type, deps.config.consoles)
  const address = await addressOf(deps.source, { ...wanted, type }, call.signal)
  using watch = watchServer(deps.source, server.id)
  const baseUrl = deps.config.consoles[type].base_url
  const { token, id, expiresAt } = await deps.tokens.authorize({
    ...ownerOf(server, call.identity),
    ...addressFields(address),
    protocol,
    type,
    accessUrlBase: baseUrl,
    ttlSeconds,
    ...options,
    mayInvite: mayInvite(deps.config.policy, options, call.identity),
  })
  if (watch.changed) await takeBack(deps.tokens, server)
  deps.metrics?.consoleCreated(type, options.role ?? 'control')
  call.log.info({ serverId: server.id, protocol, type, userId: call.identity.userId }, 'console created')
  return { type, url: accessUrl(type, baseUrl, token, server.id), tokenId: id, expiresAt }
}

/** Opens a console for Nova's API, which tells the expiry in a header since its bodies have no member for it. */
export async function openForNova(deps: ConsoleDeps, wanted: Wanted, call: Call): Promise<string> {
  const { url, expiresAt } = await openConsole(deps, wanted, call)
  call.setHeader(EXPIRES_HEADER, new Date(expiresAt).toISOString())
  return url
}

/** @throws HttpFault 409 while the server has no host */
export function requireHost(server: Server): void {
  if (server.host === null) throw notReady(server.id)
}

/** Task states after which the console's address will be void. */
const RESTLESS = new Set(['deleting', 'migrating'])

function requireRest(server: Server, protocol: Protocol): void {
  if (!RESTLESS.has(server.taskState ?? '')) return
  const message = `Cannot '${drivers[protocol].operation}' instance ${server.id} while it is in task_state ${server.taskState}`
  throw new HttpFault(409, message)
}

// The server changed after the source returned the address. Its tokens were revoked, maybe before this one was stored.
async function takeBack(tokens: ConsoleAuthTokenStore, { id }: Server): Promise<never> {
  await tokens.revokeServer(id)
  throw notReady(id)
}

async function addressOf(source: Source, wanted: Wanted, signal: AbortSignal): Promise<ConsoleAddress> {
  const { server, protocol, type } = wanted
  try {
    return await withinDeadline(signal, source.console(server, protocol, type, { signal }))
  } catch (error) {
    throw driverFault(error, wanted)
  }
}

const ownerOf = (server: Server, identity: Identity) => ({
  serverId: server.id,
  projectId: server.projectId,
  userId: identity.userId,
})

const addressFields = ({ host, port, tlsPort, internalAccessPath }: ConsoleAddress) => ({
  host,
  port,
  tlsPort: tlsPort ?? null,
  internalAccessPath: internalAccessPath ?? null,
})
