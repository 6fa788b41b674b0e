/** GET /os-console-auth-tokens/{console_token}. */
import { consoleTypes, isOpenable, type NewestResponse } from '@oriel/contract'
import { HttpFault } from '../http/faults.ts'
import type { Call, Operation } from '../http/mount.ts'
import { enforce } from '../policy/enforce.ts'
import type { Policy } from '../policy/rules.ts'
import type { Source } from '../sources/source.ts'
import { withinDeadline } from '../sources/within-deadline.ts'
import type { ConsoleAuthToken, ConsoleAuthTokenStore } from './store.ts'

const RULE = 'os_compute_api:os-console-auth-tokens'
type Response = NewestResponse<'showConsoleAuthToken'>

/**
 * Shows the console address of a token, to callers that may look up any token. Tokens are revoked with their server, so that
 * they never lead to the next server at that port.
 */
export function showConsoleAuthToken(deps: {
  readonly config: { readonly policy: Policy }
  readonly source: Source
  readonly tokens: ConsoleAuthTokenStore
}): Operation<unknown, Response> {
  return {
    async handle(call: Call) {
      enforce(deps.config.policy, RULE, call.identity)
      const found = await deps.tokens.find(call.params.console_token!)
      if (!found || !isNovas(found) || !(await lives(deps.source, found.serverId, call.signal)))
        throw new HttpFault(404, 'Token not found')
      return { console: connectInfo(found) }
    },
  }
}

/**
 * Whether a proxy that follows Nova's API enforces everything about the token. It would let a watcher type, and open a console
 * for each use.
 */
const isNovas = ({ role, singleUse }: ConsoleAuthToken) => role === 'control' && !singleUse

/** Whether the server exists and is not about to restart: then another server may listen at the address, which the caller would dial. */
async function lives(source: Source, id: string, signal: AbortSignal): Promise<boolean> {
  const server = await withinDeadline(signal, source.find(id, { signal }))
  return server !== undefined && server.vmState !== 'deleted' && !source.mayRestart?.(id)
}

function connectInfo(token: ConsoleAuthToken): Response['console'] {
  return {
    instance_uuid: token.serverId,
    host: token.host,
    port: token.port,
    internal_access_path: token.internalAccessPath,
    ...(isOpenable(token.type) && consoleTypes[token.type].hasTlsPort && { tls_port: token.tlsPort }),
  }
}
