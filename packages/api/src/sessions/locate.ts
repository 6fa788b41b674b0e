/** GET /oriel/v1/sessions/{session_id}/console: a proxy asks where the console of a session is now. */
import type { ExtensionResponse } from '@oriel/contract'
import { HttpFault } from '../http/faults.ts'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { isOff } from '../sources/server.ts'
import { consoleNow } from './console-now.ts'
import type { SessionDeps } from './deps.ts'
import { requireOwnProxy } from './proxy-owner.ts'
import type { SessionRecord } from './store.ts'

export type Located = ExtensionResponse<'locateConsole'>['console']

const GONE: Located = { moving: false, address: null }
const SWITCHED_OFF: Located = { moving: false, address: null, off: true }
const MOVING: Located = { moving: true, address: null }

/**
 * Tells a proxy whose connection to a console has ended whether the server runs elsewhere. 404 for sessions of other users'
 * proxies.
 */
export function locateConsole(deps: SessionDeps): ExtensionOperations['locateConsole'] {
  return async function locateConsole({ params, identity, signal }) {
    const id = params.session_id!
    const session = await deps.sessions.find(id)
    if (!session) throw new HttpFault(404, `Session ${id} could not be found.`)
    await requireOwnProxy(deps, session.proxyId, identity)
    return { console: await locate(deps, session, signal) }
  }
}

/** Asks the source where the console of a session is. `GONE` also if the server has another owner. */
export async function locate(deps: SessionDeps, session: SessionRecord, signal: AbortSignal): Promise<Located> {
  const now = await consoleNow(deps, session, signal)
  if (now.difference !== undefined) return now.isSwitchedOff ? SWITCHED_OFF : GONE
  const { server, address } = now
  if (server.taskState === 'migrating') return MOVING
  if (isOff(server.vmState)) return GONE
  return { moving: false, address: { host: address.host, port: address.port } }
}
