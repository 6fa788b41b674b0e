/**
 * The routes below /oriel/v1/proxies/{proxy_id}/ports: a proxy holds a console that serves one connection before it dials, so
 * that no viewer waits in silence for a console that another proxy has open.
 */
import type { ExtensionBody, HeldPort } from '@oriel/contract'
import { HttpFault } from '../http/faults.ts'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { auditTo } from './audit.ts'
import type { SessionDeps } from './deps.ts'
import { lostAfterMs } from './keeper.ts'
import { requireOpenAt } from './open-at.ts'
import type { PortClaim, PortHolder, PortState } from './port-store.ts'
import { requireOwnProxy } from './proxy-owner.ts'
import type { SessionRecord } from './store.ts'

type Body = ExtensionBody<'holdPort'>

export function holdPort(deps: SessionDeps): ExtensionOperations['holdPort'] {
  return async function holdPort({ params, body, identity, log }) {
    const proxyId = params.proxy_id!
    await requireOwnProxy(deps, proxyId, identity)
    const session = 'session_id' in body ? await requireOpenAt(deps, body.session_id, proxyId) : undefined
    const silence = { silentMs: silentMsOf(deps), resumedSilentMs: resumedSilentMsOf(deps) }
    const state = await deps.ports.hold({ ...claimOf(body, session), proxyId, ...silence })
    if ('takenFrom' in state && session) auditTo(log).portTakenOver(session, state.takenFrom!)
    return { port: portOf(deps, state) }
  }
}

export function groupProxy(deps: SessionDeps): ExtensionOperations['groupProxy'] {
  return async function groupProxy({ params, body, identity }) {
    const proxyId = params.proxy_id!
    await requireOwnProxy(deps, proxyId, identity)
    await deps.ports.group(proxyId, body.group)
    return { pending: false }
  }
}

/** 409 if the hold is lost: 404 is the answer of an API that does not know ports. */
export function showPort(deps: SessionDeps): ExtensionOperations['showPort'] {
  return async function showPort({ params, identity }) {
    const { proxy_id: proxyId = '', hold_id: holdId = '' } = params
    await requireOwnProxy(deps, proxyId, identity)
    const state = await deps.ports.find(proxyId, holdId, silentMsOf(deps))
    if (!state) throw new HttpFault(409, 'The proxy does not hold this port any more.')
    return { port: portOf(deps, state) }
  }
}

export function releasePort(deps: SessionDeps): ExtensionOperations['releasePort'] {
  return async function releasePort({ params, identity }) {
    const { proxy_id: proxyId = '', hold_id: holdId = '' } = params
    await requireOwnProxy(deps, proxyId, identity)
    await deps.ports.release(proxyId, holdId)
    return { pending: false }
  }
}

const silentMsOf = ({ config }: SessionDeps) => lostAfterMs(config.sessions.beat_seconds)

/** Proxies report at least once in an interval, so that a silence of one and a half is enough to let a page come back. */
const resumedSilentMsOf = ({ config }: SessionDeps) => config.sessions.beat_seconds * 1500

type Claimed = Pick<PortClaim, 'serverId' | 'type' | 'sessionId' | 'takeOver' | 'exclusive'>

/** @throws HttpFault 403 for a watcher that takes over, or wants to control the console */
function claimOf(body: Body, session: SessionRecord | undefined): Claimed {
  if (!session || !('session_id' in body)) {
    const { server_id: serverId, type } = body as Extract<Body, { server_id: string }>
    return { serverId, type, sessionId: null, takeOver: false }
  }
  const { serverId, type, role } = session
  const takeOver = body.take_over === true
  const exclusive = body.exclusive === true
  if ((takeOver || exclusive) && role !== 'control')
    throw new HttpFault(403, 'A session with the role watch cannot take over.')
  return { serverId, type, sessionId: session.id, takeOver, exclusive }
}

function portOf({ config }: SessionDeps, state: PortState): HeldPort {
  const { beat_seconds } = config.sessions
  if ('heldBy' in state) {
    const wait_seconds = state.mayBeLost ? 2 * beat_seconds : 0
    return { hold_id: null, ready: false, wait_seconds, held_by: holderOf(state.heldBy) }
  }
  // A holder learns of it with its next beat, and is lost after three missed ones.
  const wait_seconds = state.ready ? 0 : lostAfterMs(beat_seconds) / 1000 + beat_seconds
  return { hold_id: state.holdId, ready: state.ready, wait_seconds, held_by: null }
}

const holderOf = ({ proxyId, since, sessions }: PortHolder): HeldPort['held_by'] => ({
  proxy_id: proxyId,
  since: new Date(since).toISOString(),
  sessions: sessions.map(({ id, userId, role, label, startedAt }) => ({
    ...{ id, user_id: userId, role, label, started_at: new Date(startedAt).toISOString() },
  })),
})
