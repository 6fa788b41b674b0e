/** Statuses and reasons of machines, for people. */
import type { ServerRow } from './server-page.ts'

/** `ACTIVE` as `Active`, `VERIFY_RESIZE` as `Verify resize`, `SHUTOFF` as `Shut off`. */
export function statusWord(status: string): string {
  if (status === 'SHUTOFF') return 'Shut off'
  const words = status.toLowerCase().replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

export type Tone = 'good' | 'busy' | 'still' | 'bad'

export function toneOf(status: string): Tone {
  if (['ACTIVE', 'RESCUE'].includes(status)) return 'good'
  if (['SHUTOFF', 'PAUSED', 'SUSPENDED', 'SHELVED', 'SHELVED_OFFLOADED'].includes(status)) return 'still'
  return ['ERROR', 'DELETED', 'SOFT_DELETED'].includes(status) ? 'bad' : 'busy'
}

/** What the user must know before opening a console of the machine: why none can be opened, or that the state is old. */
export function reasonOf(row: Pick<ServerRow, 'unavailable' | 'unanswered_since'>): string {
  if (row.unavailable !== null) return reasons[row.unavailable]
  if (row.unanswered_since === null) return ''
  return `Its hypervisor has not answered since ${timeOf(row.unanswered_since)}.`
}

const reasons = {
  off: 'The machine is off. Its consoles open once it runs.',
  building: 'The machine is being built. Its consoles open once it runs.',
  moving: 'The machine is being moved to another host. Its consoles open again after that.',
  deleting: 'The machine is being deleted.',
} as const satisfies Record<NonNullable<ServerRow['unavailable']>, string>

/** The time of day for a time of today, and else the date too. */
export function timeOf(iso: string, now = new Date()): string {
  const time = new Date(iso)
  const isToday = time.toDateString() === now.toDateString()
  return time.toLocaleString([], isToday ? { timeStyle: 'short' } : { dateStyle: 'medium', timeStyle: 'short' })
}
