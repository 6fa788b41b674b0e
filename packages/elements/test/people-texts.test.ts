import type { PresenceParticipant, PresenceState } from '@oriel/contract'
import { describe, expect, it } from 'vitest'
import { controlText, factsText, namesOf, peopleOf } from '../src/pages/people-texts.ts'

const one = (id: string, more: Partial<PresenceParticipant> = {}): PresenceParticipant => ({
  id,
  label: null,
  role: 'control',
  since: '2026-03-01T09:30:00.000Z',
  has_control: true,
  ...more,
})

const stateOf = (
  participants: PresenceParticipant[],
  control: Partial<PresenceState['control']> = {},
  more: Partial<PresenceState> = {},
): PresenceState => ({
  type: 'state',
  you: 'me',
  participants,
  control: { held_by: null, may_take: true, requested_by: [], ...control },
  ends_at: null,
  latency_ms: null,
  ...more,
})

const watcher = (id: string, label: string | null = null) => one(id, { role: 'watch', has_control: false, label })

describe('the list of people', () => {
  it('begins with the own session, and numbers those without a label', () => {
    const state = stateOf([one('a'), watcher('b', 'Bob'), one('me'), one('c')])
    expect(peopleOf(state).map(({ name }) => name)).toEqual(['You', 'Somebody', 'Bob', 'Somebody 2'])
  })

  it('shows a label of a server as one plain line', () => {
    const state = stateOf([one('me', { label: 'Ann' }), one('b', { label: `\u202e<b>Bob\n${'x'.repeat(99)}` })])
    expect(namesOf(state).get('me')).toBe('Ann (you)')
    expect(namesOf(state).get('b')).toMatch(/^<b>Bob x+…$/)
  })

  it('says what each may do, and since when it is here', () => {
    const details = peopleOf(stateOf([one('me'), watcher('b')]), 'en-GB').map(({ detail }) => detail)
    expect(details[0]).toMatch(/^May control, here since \d\d:\d\d$/)
    expect(details[1]).toMatch(/^May watch, /)
    expect(peopleOf(stateOf([one('me', { since: 'x' })]))[0]?.detail).toBe('May control')
  })

  it('offers to give control only to others, and only while the own session has it', () => {
    const receivers = (state: PresenceState) => peopleOf(state).flatMap(({ id, canReceive }) => (canReceive ? id : []))
    expect(receivers(stateOf([one('me'), one('a'), watcher('b')]))).toEqual(['a', 'b'])
    const held = [one('me', { has_control: false }), one('a'), watcher('b')]
    expect(receivers(stateOf(held, { held_by: 'a' }))).toEqual([])
  })

  it('marks requests', () => {
    const people = peopleOf(stateOf([one('me'), watcher('b')], { requested_by: ['b'] }))
    expect(people.map(({ requests }) => requests)).toEqual([false, true])
  })
})

it.each<[string, PresenceState]>([
  ['You have control.', stateOf([one('me'), watcher('b')])],
  ['You have control, and so do others.', stateOf([one('me'), one('a')])],
  ['You alone have control.', stateOf([one('me'), one('a', { has_control: false })], { held_by: 'me' })],
  ['Bob has control.', stateOf([watcher('me'), one('a', { label: 'Bob' })], { held_by: 'a' })],
  ['You are watching.', stateOf([watcher('me'), one('a')])],
  ['No one has control.', stateOf([watcher('me')])],
])('the panel says: %s', (text, state) => {
  expect(controlText(state)).toBe(text)
})

it('the panel says when the console closes and how long a round trip takes, as far as they are known', () => {
  expect(factsText(stateOf([]))).toBe('')
  const known = stateOf([], {}, { ends_at: '2026-03-01T09:30:00.000Z', latency_ms: 12 })
  expect(factsText(known, 'en-GB')).toMatch(/^This console closes at \d\d:\d\d at the latest\. Round trip .*: 12 ms\.$/)
})
