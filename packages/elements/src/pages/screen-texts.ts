/** Why the list shows no picture of a machine's screen, for people, in a few words. */
import { Conflict, Forbidden, NotFound, TooManyRequests, Unauthorized } from '@oriel/sdk'
import type { ServerRow } from './server-page.ts'
import { troubleOf } from './servers.ts'

/** Why the machine has no picture now, from what the list knows; `undefined` if it may have one. */
export function noScreenText({
  consoles,
  unavailable,
}: Pick<ServerRow, 'consoles' | 'unavailable'>): string | undefined {
  if (consoles !== null && !consoles.includes('novnc')) return 'No VNC console.'
  return unavailable === null ? undefined : states[unavailable]
}

const states = {
  off: 'The machine is off.',
  building: 'The machine is being built.',
  moving: 'The machine is being moved.',
  deleting: 'The machine is being deleted.',
} as const satisfies Record<NonNullable<ServerRow['unavailable']>, string>

/** Why a picture could not be loaded. The messages of the API for these statuses name the machine, which the row does too. */
export function screenTroubleText(error: unknown, now = new Date()): string {
  if (error instanceof TooManyRequests) return tooManyText(error.retryAfterSeconds, now)
  if (error instanceof Unauthorized) return 'Your sign-in has expired.'
  if (error instanceof Forbidden) return 'Your roles do not allow you to see this screen.'
  if (error instanceof NotFound) return 'The machine was not found.'
  if (error instanceof Conflict) return 'The machine shows no screen now.'
  return troubleOf(error).text
}

function tooManyText(seconds: number | undefined, now: Date): string {
  if (seconds === undefined) return 'Too many screens were loaded. Refresh again later.'
  const at = new Date(now.getTime() + seconds * 1000)
  return `Too many screens were loaded. Refresh again from ${at.toLocaleTimeString([], { timeStyle: 'medium' })}.`
}
