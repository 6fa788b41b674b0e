/**
 * The routes by which proxies share consoles: POST /oriel/v1/proxies/{proxy_id}/shared-consoles, which waits for a change, and
 * POST …/control, which moves control. Proxies do not reach each other, so the database decides.
 */
import type { ExtensionBody, SharedConsole } from '@oriel/contract'
import { deadline, sha256Hex } from '@oriel/runtime'
import { HttpFault } from '../http/faults.ts'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import type { ConsoleControl, ConsoleName } from './control-store.ts'
import type { SessionDeps } from './deps.ts'
import { lostAfterMs } from './keeper.ts'
import { REPLICA_POLL_MS, Waiter } from './news.ts'
import { requireOpenAt } from './open-at.ts'
import { proxyIdOf, requireOwnProxy } from './proxy-owner.ts'
import type { SessionRecord } from './store.ts'

/** While a session waits for another proxy to confirm that it has lost control, which may reach another replica. */
const MOVING_POLL_MS = 100

/**
 * Answers as soon as the consoles differ from those that the proxy knows: at once after a change by way of this process, and
 * within a second after one at another replica. A proxy that sends the version of the present state has applied that state: its
 * sessions that lost control send no input any more.
 */
export function awaitSharedConsoles(deps: SessionDeps): ExtensionOperations['awaitSharedConsoles'] {
  const { consoleNews, draining = () => false, replicaPollMs = REPLICA_POLL_MS } = deps
  return async function awaitSharedConsoles({ params, body, identity, signal }) {
    const proxyId = proxyIdOf(params)
    await requireOwnProxy(deps, proxyId, identity)
    using limit = deadline((body.wait_seconds ?? 0) * 1000, signal)
    const waiter = new Waiter()
    let servers: ReadonlySet<string> | undefined
    // Before the first list, any change may be one of the proxy's consoles.
    using _listening = consoleNews.subscribe((serverId) => {
      if (servers?.has(serverId) ?? true) waiter.wake()
    })
    let isNoted = false
    for (;;) {
      const consoles = await sharedBy(deps, proxyId)
      servers = new Set(consoles.map(({ serverId }) => serverId))
      const documents = consoles.map(documentOf)
      const version = sha256Hex(JSON.stringify(documents))
      if (version !== body.version || limit.signal.aborted || draining()) return { version, consoles: documents }
      if (!isNoted) await noteApplied(deps, proxyId, consoles)
      isNoted = true
      const isMoving = consoles.some(({ ready }) => !ready)
      await waiter.next(isMoving ? Math.min(replicaPollMs, MOVING_POLL_MS) : replicaPollMs, limit.signal)
    }
  }
}

const sharedBy = ({ control, config }: SessionDeps, proxyId: string) =>
  control.shared(proxyId, lostAfterMs(config.sessions.beat_seconds))

async function noteApplied(
  { control, consoleNews }: SessionDeps,
  proxyId: string,
  consoles: readonly ConsoleControl[],
): Promise<void> {
  for (const serverId of await control.applied(proxyId, consoles)) consoleNews.notify(serverId)
}

/** Answers with the console as it is afterwards: another proxy's move may have come first. */
export function moveControl(deps: SessionDeps): ExtensionOperations['moveControl'] {
  return async function moveControl({ params, body, identity }) {
    const proxyId = proxyIdOf(params)
    await requireOwnProxy(deps, proxyId, identity)
    const session = await requireOpenAt(deps, body.session_id, proxyId)
    await carryOut(deps, session, body)
    deps.consoleNews.notify(session.serverId)
    return { console: documentOf(await deps.control.show(proxyId, session)) }
  }
}

/** @throws HttpFault 403 for a watcher that takes control */
async function carryOut(
  { control }: SessionDeps,
  session: SessionRecord,
  body: ExtensionBody<'moveControl'>,
): Promise<void> {
  if ('requests' in body) return control.request(session, body.requests)
  const { from, to } = body
  if (to === session.id && session.role !== 'control')
    throw new HttpFault(403, 'A session with the role watch cannot take control.')
  return control.move({ session, from, to })
}

/** Returns the console for a proxy that opens a session of it, if other proxies have it open. */
export async function sharedConsoleOf(
  { control }: SessionDeps,
  { proxyId, ...name }: ConsoleName & Pick<SessionRecord, 'proxyId'>,
): Promise<SharedConsole | undefined> {
  const shown = await control.show(proxyId, name)
  return shown.elsewhere.length === 0 ? undefined : documentOf(shown)
}

const documentOf = (console: ConsoleControl): SharedConsole => ({
  server_id: console.serverId,
  type: console.type,
  revision: console.revision,
  participants: console.elsewhere.map(({ id, role, label, startedAt, invitationId }) => ({
    ...{ id, role, label, since: new Date(startedAt).toISOString() },
    ...(invitationId !== null && { invited: true }),
  })),
  held_by: console.heldBy,
  ready: console.ready,
  requested_by: [...console.requestedBy],
})
