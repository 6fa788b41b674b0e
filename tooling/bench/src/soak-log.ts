/** Reads the sessions from the proxy's log. */
import { readFileSync } from 'node:fs'

export interface LoggedSessions {
  readonly opened: number
  /** The number of sessions that did not end, or ended without a reason. */
  readonly withoutReason: number
  readonly reasons: Readonly<Record<string, number>>
  readonly refusals: Readonly<Record<string, number>>
}

/** Reads a log. Ignores lines that are not JSON, such as those of the inspector. */
export function loggedSessions(file: string): LoggedSessions {
  const open = new Set<unknown>()
  const reasons: Record<string, number> = {}
  const refusals: Record<string, number> = {}
  let opened = 0
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (!line.startsWith('{')) continue
    const { msg, session, reason, refusal } = JSON.parse(line) as Record<string, unknown>
    if (msg === 'session opened') {
      opened += 1
      open.add(session)
    } else if (msg === 'session ended' && typeof reason === 'string') {
      open.delete(session)
      reasons[reason] = (reasons[reason] ?? 0) + 1
    } else if (msg === 'refused') {
      refusals[String(refusal)] = (refusals[String(refusal)] ?? 0) + 1
    }
  }
  return { opened, withoutReason: open.size, reasons, refusals }
}
