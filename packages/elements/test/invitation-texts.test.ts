import type { PresenceInvitation } from '@oriel/contract'
import { describe, expect, it } from 'vitest'
import { lifetimesOf, limitText, nextExpiryMs, shownInvitations } from '../src/pages/invitation-texts.ts'

const NOW = Date.parse('2026-03-01T09:00:00.000Z')
const one = (id: string, more: Partial<PresenceInvitation> = {}): PresenceInvitation => ({
  ...{ id, role: 'watch', label: null, expires_at: '2026-03-01T09:30:00.000Z', is_used: false },
  ...more,
})
const of = (list: PresenceInvitation[], max_ttl_seconds = 600) => ({ list, max_ttl_seconds, max_invitations: 2 })
const details = (list: PresenceInvitation[]) => shownInvitations(of(list), NOW, 'en-GB').map(({ detail }) => detail)

describe('the list of invitations', () => {
  it('numbers guests without a label from the oldest, and shows a label as one plain line', () => {
    const shown = shownInvitations(of([one('c'), one('b', { label: '\u202e<b>Bob\n' }), one('a')]), NOW)
    expect(shown.map(({ name }) => name)).toEqual(['Guest 3', '<b>Bob', 'Guest 1'])
  })

  it('says what a guest may do, and whether the link may still be opened', () => {
    expect(details([one('a')])[0]).toMatch(/^May watch, link valid until \d\d:\d\d$/)
    expect(details([one('a', { role: 'control', is_used: true })])).toEqual(['May control, link used'])
    expect(details([one('a', { expires_at: '2026-03-01T09:00:00.000Z' })])).toEqual(['Link expired'])
    expect(details([one('a', { expires_at: 'x' })])).toEqual(['May watch'])
  })

  it('changes next when the first unused link expires', () => {
    const used = one('a', { expires_at: '2026-03-01T09:01:00.000Z', is_used: true })
    const expired = one('b', { expires_at: '2026-03-01T08:00:00.000Z' })
    expect(nextExpiryMs(of([used, expired, one('c')]), NOW)).toBe(1_800_000)
    expect(nextExpiryMs(of([used, expired]), NOW)).toBeUndefined()
  })
})

describe('a further invitation', () => {
  it('is impossible at the limit', () => {
    expect(limitText(of([one('a')]))).toBe('')
    expect(limitText(of([one('a'), one('b')]))).toMatch(/^There are 2 invitations.* Revoke one/)
    expect(limitText(undefined)).toBe('')
  })

  it.each([
    [600, ['10 minutes']],
    [45, ['45 seconds']],
    [900, ['15 minutes']],
    [7200, ['15 minutes', '1 hour']],
    [86_400, ['15 minutes', '1 hour', '8 hours']],
  ])('may live for the usual times up to %d seconds, or for that long', (max, texts) => {
    expect(lifetimesOf(of([], max)).map(({ text }) => text)).toEqual(texts)
  })
})
