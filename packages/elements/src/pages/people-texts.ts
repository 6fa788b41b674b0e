/** The texts of the people panel: who is here, and who has control. */
import type { PresenceParticipant, PresenceState } from '@oriel/contract'
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
      if (id === you) return [id, name === '' ? 'You' : `${name} (you)`]
      if (name !== '') return [id, name]
      unnamed += 1
      return [id, unnamed === 1 ? 'Somebody' : `Somebody ${unnamed}`]
    }),
  )
}

function detailOf({ role, since }: PresenceParticipant, locale: string | undefined): string {
  const time = clock(since, locale)
  const what = role === 'watch' ? 'May watch' : 'May control'
  return time === undefined ? what : `${what}, here since ${time}`
}

/** Returns a sentence about who has control. */
export function controlText(state: PresenceState): string {
  const { you, control, participants } = state
  if (control.held_by === you) return 'You alone have control.'
  if (control.held_by !== null) return `${namesOf(state).get(control.held_by) ?? 'Somebody'} has control.`
  const others = participants.filter(({ id, has_control }) => id !== you && has_control).length
  const own = participants.find(({ id }) => id === you)?.has_control === true
  if (own) return others === 0 ? 'You have control.' : 'You have control, and so do others.'
  return others === 0 ? 'No one has control.' : 'You are watching.'
}

/** Returns when the session ends and how long its round trips take; empty if both are unknown. */
export function factsText({ ends_at, latency_ms }: PresenceState, locale?: string): string {
  const end = ends_at === null ? undefined : clock(ends_at, locale)
  return [
    ...(end === undefined ? [] : [`This console closes at ${end} at the latest.`]),
    ...(typeof latency_ms === 'number' ? [`Round trip to the proxy: ${Math.round(latency_ms)} ms.`] : []),
  ].join(' ')
}

function clock(time: string, locale: string | undefined): string | undefined {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return undefined
  return date.toLocaleTimeString(locale, { hour: '2-digit', minute: '2-digit' })
}
