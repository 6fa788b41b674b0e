/** PUT /oriel/v1/proxies/{proxy_id}: a proxy reports its sessions, and the response lists those to close. */
import type { ExtensionBody } from '@oriel/contract'
import { HttpFault } from '../http/faults.ts'
import type { ExtensionOperations } from '../http/mount-extension.ts'
import { auditTo } from './audit.ts'
import { auditControl, toSpan } from './control.ts'
import type { SessionDeps } from './deps.ts'
import { lostAfterMs } from './keeper.ts'
import { knownReason } from './known-reasons.ts'
import { proxyIdOf, requireOwnProxy } from './proxy-owner.ts'
import { type Beat, type EndedSession, type SessionRecord, UNOPENED_ENDS } from './store.ts'

type Report = ExtensionBody<'beat'>

/** Processes a beat. It is idempotent: each session ends once, and its end is in the audit trail once. */
export function beat(deps: SessionDeps): ExtensionOperations['beat'] {
  const { config, sessions, tokens, ports, control, consoleNews } = deps
  return async function beat(call) {
    const { beat_seconds } = config.sessions
    const proxyId = proxyIdOf(call.params)
    const reported = toBeat(call.body)
    const spans = (call.body.control ?? []).map(toSpan)
    await requireOwnProxy({ config, sessions }, proxyId, call.identity)
    // Before the ends, which are returned once: nothing may fail between them and their records.
    if (spans.length > 0) await auditControl({ sessions }, { proxyId, spans, log: call.log })
    const { end, ended, returned } = await sessions.beat(proxyId, reported, lostAfterMs(beat_seconds))
    const audit = auditTo(call.log)
    for (const session of returned) audit.returned(session)
    for (const session of ended) audit.ended(session)
    for (const { usedTokenId } of ended.filter(neverOpened)) {
      if (usedTokenId !== null) await tokens.release(usedTokenId)
    }
    for (const { serverId } of [...ended, ...returned]) consoleNews.notify(serverId)
    const known = end.map(({ id, reason }) => ({ id, reason: knownReason(call.headers, reason) }))
    const shares_consoles = await control.sharesAny(proxyId, lostAfterMs(beat_seconds))
    const yielding = await ports.yielding(proxyId)
    const takenOver = yielding.flatMap((hold) => hold.sessions.map(({ id }) => ({ id, reason: 'taken_over' as const })))
    const release = yielding.filter((hold) => hold.proxyId === proxyId).map(({ holdId }) => holdId)
    return {
      ...{ beat_seconds, takes_control: true, end: [...known, ...takenOver] },
      ...(release.length > 0 && { release }),
      ...(shares_consoles && { shares_consoles }),
    }
  }
}

/** Whether the proxy refused an admitted session, or its client left before it opened. Its single-use URL may be opened again. */
const neverOpened = ({ endReason, bytesToClient, bytesToConsole }: SessionRecord) =>
  UNOPENED_ENDS.includes(endReason ?? '') && bytesToClient === 0 && bytesToConsole === 0

const toBeat = ({ open, ended }: Report): Beat => ({
  open: open.map((session) => ({ id: session.id, ...countsOf(session) })),
  ended: ended.map(toEnded),
})

function toEnded(reported: Report['ended'][number]): EndedSession {
  const endedAt = Date.parse(reported.ended_at)
  if (Number.isNaN(endedAt)) throw new HttpFault(400, 'Invalid input for ended_at: must be a time')
  return { id: reported.id, endedAt, reason: reported.reason, ...countsOf(reported) }
}

/** Clamps counts: JSON has integers that databases cannot store, such as 1e300. */
const countsOf = ({ bytes_to_client, bytes_to_console }: Report['open'][number]) => ({
  bytesToClient: Math.min(bytes_to_client, Number.MAX_SAFE_INTEGER),
  bytesToConsole: Math.min(bytes_to_console, Number.MAX_SAFE_INTEGER),
})
