/** Consoles with options that Nova's API lacks: checks the options, and opens the console. */
import { consoleTypes, type OpenableConsoleType } from '@oriel/contract'
import { maxTtlSeconds } from '../console-auth-tokens/config.ts'
import type { TokenOptions } from '../console-auth-tokens/store.ts'
import { HttpFault } from '../http/faults.ts'
import { enforce } from '../policy/enforce.ts'
import { REMOTE_CONSOLES_RULE } from '../policy/rules.ts'
import { lookUp } from '../servers/look-up.ts'
import type { Server } from '../sources/server.ts'
import { type ConsoleDeps, type OpenedConsole, type Opener, openConsole } from './open.ts'

/** A request for a console by a caller who may ask for some consoles, though maybe not for this role. */
export interface WantedOptions {
  readonly serverId: string
  readonly type: OpenableConsoleType
  readonly options: Omit<TokenOptions, 'mayInvite'> & Partial<Pick<TokenOptions, 'mayInvite'>>
  readonly ttlSeconds: number | undefined
}

export interface ConsoleWithOptions extends OpenedConsole {
  readonly server: Server
  readonly ttlSeconds: number
}

/**
 * Opens a console with options. The role `control` needs the rule of Nova's route as well, so that an operator may let
 * readers watch.
 * @throws Forbidden
 * @throws HttpFault 400, 404, 409 or 501
 */
export async function openWithOptions(
  deps: ConsoleDeps,
  wanted: WantedOptions,
  call: Opener,
): Promise<ConsoleWithOptions> {
  if (wanted.options.role === 'control') enforce(deps.config.policy, REMOTE_CONSOLES_RULE, call.identity)
  return openPermitted(deps, wanted, call)
}

/**
 * Opens a console with options for a caller who may ask for its role.
 * @throws HttpFault 400, 404, 409 or 501
 */
export async function openPermitted(
  deps: ConsoleDeps,
  wanted: WantedOptions,
  call: Opener,
): Promise<ConsoleWithOptions> {
  const { serverId, type, options } = wanted
  requireWatchable(wanted)
  const ttlSeconds = lifetimeOf(deps, wanted)
  const server = await lookUp(deps.source, call.identity, serverId, call.signal)
  const { protocol } = consoleTypes[type]
  const opened = await openConsole(
    deps,
    { server, protocol, type, variant: 'remote-consoles', ttlSeconds, options },
    call,
  )
  return { ...opened, server, ttlSeconds }
}

function requireWatchable({ options: { role }, type }: WantedOptions): void {
  if (role === 'control' || consoleTypes[type].watchable) return
  throw new HttpFault(400, `A ${type} console cannot be opened for watching only.`)
}

function lifetimeOf({ config }: ConsoleDeps, { ttlSeconds }: WantedOptions): number {
  const max = maxTtlSeconds(config.tokens)
  if (ttlSeconds === undefined) return config.tokens.ttl_seconds
  if (ttlSeconds <= max) return ttlSeconds
  throw new HttpFault(400, `Invalid input for ttl_seconds: must not be greater than ${max}`)
}
