/** The texts of the people panel: who is here, and who has control. */
import type { PresenceParticipant, PresenceState } from '@oriel/contract'
import { t } from '../language/texts/people.ts'
import { currentLocale } from '../language/translate.ts'
import { plainLine } from '../plain-line.ts'

const maxNameLength = 64

/** A participant as the panel lists it. Every text may come from a server: show it as text, never as markup. */
export interface Person {
  readonly id: string
  readonly name: string
  readonly detail: string
  readonly hasControl: boolean
  readonly requests: boolean
  /** Whether control can be given to this participant. */
  readonly canReceive: boolean
}

/** Returns the participants, the own session first. Numbers those without a label. */
export function peopleOf(state: PresenceState, locale?: string): readonly Person[] {
  const { you, participants, control } = state
  const names = namesOf(state)
  const own = participants.find(({ id }) => id === you)
  const inOrder = own === undefined ? participants : [own, ...participants.filter((one) => one !== own)]
  return inOrder.map((participant) => ({
    id: participant.id,
    name: names.get(participant.id) ?? '',
    detail: detailOf(participant, locale),
    hasControl: participant.has_control,
    requests: control.requested_by.includes(participant.id),
    canReceive: own?.has_control === true && participant !== own && control.held_by !== participant.id,
  }))
}

/** Returns the name of each participant, by id. */
export function namesOf({ you, participants }: PresenceState): ReadonlyMap<string, string> {
  let unnamed = 0
  return new Map(
    participants.map(({ id, label }) => {
      const name = label === null ? '' : plainLine(label, maxNameLength)
      if (id === you) return [id, name === '' ? t('people.you') : t('people.name-you', { name })]
      if (name !== '') return [id, name]
      unnamed += 1
      return [id, unnamed === 1 ? t('people.somebody') : t('people.somebody-number', { number: unnamed })]
    }),
  )
}

function detailOf({ role, since }: PresenceParticipant, locale: string | undefined): string {
  const time = clock(since, locale)
  const what = t(role === 'watch' ? 'people.may-watch' : 'people.may-control')
  return time === undefined ? what : t('people.since', { what, time })
}

/** Returns a sentence about who has control. */
export function controlText(state: PresenceState): string {
  const { you, control, participants } = state
  if (control.held_by === you) return t('people.you-alone')
  if (control.held_by !== null)
    return t('people.has-control', { name: namesOf(state).get(control.held_by) ?? t('people.somebody') })
  const others = participants.filter(({ id, has_control }) => id !== you && has_control).length
  const own = participants.find(({ id }) => id === you)?.has_control === true
  if (own) return t(others === 0 ? 'people.you-have-control' : 'people.you-and-others')
  return t(others === 0 ? 'people.no-control' : 'people.watching')
}

/** Returns when the session ends and how long its round trips take; empty if both are unknown. */
export function factsText({ ends_at, latency_ms }: PresenceState, locale?: string): string {
  const end = ends_at === null ? undefined : clock(ends_at, locale)
  return [
    ...(end === undefined ? [] : [t('people.closes', { time: end })]),
    ...(typeof latency_ms === 'number' ? [t('people.latency', { ms: Math.round(latency_ms) })] : []),
  ].join(' ')
}

function clock(time: string, locale: string | undefined): string | undefined {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return undefined
  return date.toLocaleTimeString(locale ?? currentLocale(), { hour: '2-digit', minute: '2-digit' })
}
