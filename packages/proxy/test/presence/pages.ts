/** Pages and inputs for tests of shared consoles. */
import type { CloseReasonName, ConsoleRole } from '@oriel/contract'
import type { Participant, PresencePage, PresenceView } from '../../src/presence/shared-consoles.ts'

export const CONSOLE = { instance: 'i', type: 'novnc', host: '127.0.0.1', port: 5900 }

export const participant = (id: string, role: ConsoleRole = 'control'): Participant => ({ id, role, sinceMs: 0 })

export interface RecordedPage extends PresencePage {
  readonly views: PresenceView[]
  readonly ends: CloseReasonName[]
  /** The ids of the sessions that have control, as the page last saw it. */
  readonly inControl: () => string[]
}

export function recordedPage(): RecordedPage {
  const views: PresenceView[] = []
  const ends: CloseReasonName[] = []
  const inControl = () =>
    (views.at(-1)?.participants ?? []).filter(({ has_control }) => has_control).map(({ id }) => id)
  return { views, ends, inControl, show: (view) => void views.push(view), end: (reason) => void ends.push(reason) }
}
