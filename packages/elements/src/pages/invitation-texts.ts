/** The texts of the invitations in the people panel. */
import type { PresenceInvitation, PresenceState } from '@oriel/contract'
import { t } from '../language/texts/people.ts'
import { currentLocale } from '../language/translate.ts'
import { plainLine } from '../plain-line.ts'

const maxNameLength = 64
const minute = 60
const hour = 60 * minute

/** An invitation as the panel lists it. Every text may come from a server: show it as text, never as markup. */
export interface ShownInvitation {
  readonly id: string
  readonly name: string
  readonly detail: string
}

type Invitations = PresenceState['invitations']

/** Returns the invitations, the newest first. Numbers those without a label. */
export function shownInvitations(invitations: Invitations, nowMs: number, locale?: string): readonly ShownInvitation[] {
  const list = invitations?.list ?? []
  return list.map((invitation, i) => ({
    id: invitation.id,
    name:
      invitation.label === null
        ? t('invite.guest', { number: list.length - i })
        : plainLine(invitation.label, maxNameLength),
    detail: detailOf(invitation, nowMs, locale),
  }))
}

function detailOf({ role, expires_at, is_used }: PresenceInvitation, nowMs: number, locale?: string): string {
  const what = t(role === 'watch' ? 'people.may-watch' : 'people.may-control')
  if (is_used) return t('invite.used', { what })
  const expires = new Date(expires_at)
  if (Number.isNaN(expires.getTime())) return what
  if (expires.getTime() <= nowMs) return t('invite.expired')
  const time = expires.toLocaleTimeString(locale ?? currentLocale(), { hour: '2-digit', minute: '2-digit' })
  return t('invite.valid', { what, time })
}

/** Returns how long it is until the next link expires, or `undefined` if there is no unused one. */
export function nextExpiryMs(invitations: Invitations, nowMs: number): number | undefined {
  const times = (invitations?.list ?? [])
    .filter(({ is_used }) => !is_used)
    .map(({ expires_at }) => Date.parse(expires_at) - nowMs)
    .filter((ms) => ms > 0)
  return times.length === 0 ? undefined : Math.min(...times)
}

/** Returns a sentence if the limit of invitations is reached, else an empty text. */
export function limitText(invitations: Invitations): string {
  const max = invitations?.max_invitations
  if (max === undefined || (invitations?.list.length ?? 0) < max) return ''
  return t('invite.limit', { count: max })
}

export interface Lifetime {
  readonly seconds: number
  readonly text: string
}

/** Returns the lifetimes of a link to choose from: the usual ones that the API allows, or else the longest one that it allows. */
export function lifetimesOf(invitations: Invitations): readonly Lifetime[] {
  if (invitations === undefined) return []
  const max = invitations.max_ttl_seconds
  const usual = [15 * minute, hour, 8 * hour].filter((seconds) => seconds <= max)
  return (usual.length === 0 ? [max] : usual).map((seconds) => ({ seconds, text: durationText(seconds) }))
}

function durationText(seconds: number): string {
  if (seconds % hour === 0) return t('invite.hours', { count: seconds / hour })
  if (seconds % minute === 0) return t('invite.minutes', { count: seconds / minute })
  return t('invite.seconds', { count: seconds })
}
