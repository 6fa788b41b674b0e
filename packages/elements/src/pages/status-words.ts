/** Statuses and reasons of machines, for people. */
import { t } from '../language/texts/list.ts'
import { currentLocale, translation } from '../language/translate.ts'
import type { ServerRow } from './server-page.ts'

/** `ACTIVE` as `Active`, `VERIFY_RESIZE` as `Verify resize`, `SHUTOFF` as `Shut off`; in another language by its catalogue. */
export function statusWord(status: string): string {
  const translated = translation(`status.${status}`)
  if (translated !== undefined) return translated
  const words = status.replace('SHUTOFF', 'SHUT_OFF').toLowerCase().replaceAll('_', ' ')
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
  if (row.unavailable !== null) return t(`list.${row.unavailable}`)
  if (row.unanswered_since === null) return ''
  return t('list.unanswered', { time: timeOf(row.unanswered_since) })
}

/** The time of day for a time of today, and else the date too. */
export function timeOf(iso: string, now = new Date()): string {
  const time = new Date(iso)
  const isToday = time.toDateString() === now.toDateString()
  return time.toLocaleString(
    currentLocale(),
    isToday ? { timeStyle: 'short' } : { dateStyle: 'medium', timeStyle: 'short' },
  )
}
