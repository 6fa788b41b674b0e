/** The spans of control that a proxy reports with a beat: who controlled a console, from when to when. */
import type { ExtensionBody } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import { HttpFault } from '../http/faults.ts'
import { auditTo } from './audit.ts'
import type { SessionDeps } from './deps.ts'
import type { SessionRecord } from './store.ts'

type Reported = NonNullable<ExtensionBody<'beat'>['control']>[number]

/** A reported span. Times are milliseconds since the epoch. */
export interface ReportedSpan {
  readonly id: string
  readonly since: number
  /** Absent: it is still going on. */
  readonly until?: number
}

/** @throws HttpFault 400 */
export const toSpan = ({ id, since, until }: Reported): ReportedSpan => ({
  id,
  since: timeOf('since', since),
  ...(until === undefined ? {} : { until: timeOf('until', until) }),
})

function timeOf(name: string, text: string): number {
  const time = Date.parse(text)
  if (Number.isNaN(time)) throw new HttpFault(400, `Invalid input for ${name}: must be a time`)
  return time
}

/**
 * Writes the spans to the audit trail. Ignores those of sessions of other proxies, and of sessions without a record. Spans are
 * not stored: a proxy that did not get the answer reports them again, and they are then in the trail twice.
 */
export async function auditControl(
  { sessions }: Pick<SessionDeps, 'sessions'>,
  { proxyId, spans, log }: { readonly proxyId: string; readonly spans: readonly ReportedSpan[]; readonly log: Logger },
): Promise<void> {
  const ids = [...new Set(spans.map(({ id }) => id))]
  const known = await sessions.findOfProxy(proxyId, ids)
  const audit = auditTo(log)
  for (const span of spans) {
    const session = known.get(span.id)
    if (!session) continue
    const { since, until } = clamped(span, session, Date.now())
    if (until === undefined) audit.controlStarted(session, { since })
    else audit.controlEnded(session, { since, until })
  }
}

/** Clamps the times to the session, since a proxy's clock may be wrong, and a compromised proxy may send any time. */
function clamped({ since, until }: ReportedSpan, { startedAt, endedAt }: SessionRecord, now: number) {
  const latest = Math.max(startedAt, endedAt ?? now)
  const from = Math.min(Math.max(since, startedAt), latest)
  return { since: from, until: until === undefined ? undefined : Math.min(Math.max(until, from), latest) }
}
