/** Where the console of a token or of an earlier session is now. */

import { SourceError } from '../sources/errors.ts'
import { isSwitchedOff, type Server } from '../sources/server.ts'
import type { SourceConsole } from '../sources/source.ts'
import { withinDeadline } from '../sources/within-deadline.ts'
import type { SessionDeps } from './deps.ts'
import type { NewSession } from './store.ts'

/** A console as it was when its token, or the session to resume, was created. */
export type ConsoleThen = Pick<NewSession, 'serverId' | 'projectId' | 'protocol' | 'type'>

/** The server and its console, or the reason why the caller may not have the console any more. */
export type ConsoleNow =
  | { readonly server: Server; readonly address: SourceConsole; readonly difference?: never }
  | {
      readonly difference: string
      /** Whether the server is switched off, as its source last saw it. It may still be the caller's when it is on again. */
      readonly isSwitchedOff: boolean
      /** Whether the server has stopped just now, and may be about to run again as it was. */
      readonly mayRestart: boolean
    }

/**
 * Asks the source for the console, with its password, which is stored nowhere. Another owner may have the server now.
 */
export async function consoleNow(
  { source }: Pick<SessionDeps, 'source'>,
  then: ConsoleThen,
  signal: AbortSignal,
): Promise<ConsoleNow> {
  const missing = (difference: string) => ({
    difference,
    isSwitchedOff: source.switchedOff?.(then.serverId)?.projectId === then.projectId,
    mayRestart: source.mayRestart?.(then.serverId) ?? false,
  })
  const server = await withinDeadline(signal, source.find(then.serverId, { signal }))
  if (!server || server.vmState === 'deleted') return missing('the server is gone')
  if (server.projectId !== then.projectId)
    return { difference: 'the server has another owner', isSwitchedOff: false, mayRestart: false }
  try {
    const asking = source.console(server, then.protocol, then.type, { signal, withPassword: true })
    const address = await withinDeadline(signal, asking)
    // A configured server has its address also while it is off.
    return isSwitchedOff(server.vmState) ? missing('the server is switched off') : { server, address }
  } catch (error) {
    if (error instanceof SourceError && NO_CONSOLE.has(error.code))
      return missing('the server has no such console any more')
    throw error
  }
}

/** Errors by which a driver says that the console does not exist. For any other error the token is kept. */
const NO_CONSOLE: ReadonlySet<string> = new Set([
  'ConsoleTypeUnavailable',
  'ConsoleNotAvailable',
  'InstanceNotFound',
] satisfies SourceError['code'][])
