/** Why the list shows no picture of a machine's screen, for people, in a few words. */
import { Conflict, Forbidden, NotFound, TooManyRequests, Unauthorized } from '@oriel/sdk'
import { t } from '../language/texts/list.ts'
import { currentLocale } from '../language/translate.ts'
import type { ServerRow } from './server-page.ts'
import { troubleOf } from './servers.ts'

/** Why the machine has no picture now, from what the list knows; `undefined` if it may have one. */
export function noScreenText({
  consoles,
  unavailable,
}: Pick<ServerRow, 'consoles' | 'unavailable'>): string | undefined {
  if (consoles !== null && !consoles.includes('novnc')) return t('screens.no-vnc')
  return unavailable === null ? undefined : t(`screens.${unavailable}`)
}

/** Why a picture could not be loaded. The messages of the API for these statuses name the machine, which the row does too. */
export function screenTroubleText(error: unknown, now = new Date()): string {
  if (error instanceof TooManyRequests) return tooManyText(error.retryAfterSeconds, now)
  if (error instanceof Unauthorized) return t('screens.expired')
  if (error instanceof Forbidden) return t('screens.forbidden')
  if (error instanceof NotFound) return t('screens.not-found')
  if (error instanceof Conflict) return t('screens.no-screen')
  return troubleOf(error).text
}

function tooManyText(seconds: number | undefined, now: Date): string {
  if (seconds === undefined) return t('screens.too-many')
  const at = new Date(now.getTime() + seconds * 1000)
  return t('screens.too-many-until', { time: at.toLocaleTimeString(currentLocale(), { timeStyle: 'medium' }) })
}
