/** Invitations by a page: its requests, and what it and other pages see of them, through a running proxy. */
import { type ConsoleRole, closeReasons, type PresenceInvitation, refusals } from '@oriel/contract'
import { describe, expect, it } from 'vitest'
import type { InvitingSession } from '../../src/authority/authority.ts'
import { InvitationObjection, type SessionInvitations } from '../../src/presence/invitations.ts'
import { Refused } from '../../src/refused.ts'
import { OTHER_TOKEN, open, type RunOptions, running } from '../fixture.ts'
import { openPage } from './page-client.ts'

const KEY = 'qqqqqqqqqqqqqqqqqqqqqQ'
const OTHER_KEY = 'wwwwwwwwwwwwwwwwwwwwwQ'
const SECRET = 'https://consoles.example/vnc.html?token=secret-of-the-link'

/** Invitations in memory, of all sessions. */
function playedInvitations() {
  const bySession = new Map<string, PresenceInvitation[]>()
  const played = {
    asked: [] as InvitingSession[],
    /** Thrown by every request, if set. */
    failure: undefined as Error | undefined,
    /** The requests in progress, and the most that were at once. */
    busy: 0,
    mostBusy: 0,
    used(id: string) {
      for (const list of bySession.values())
        for (const [i, each] of list.entries()) if (each.id === id) list[i] = { ...each, is_used: true }
    },
    invitationsOf(session: InvitingSession): SessionInvitations {
      played.asked.push(session)
      const list = () => bySession.get(session.id) ?? []
      const answering = async <T>(answer: () => T): Promise<T> => {
        played.mostBusy = Math.max(played.mostBusy, ++played.busy)
        await Promise.resolve()
        played.busy -= 1
        if (played.failure) throw played.failure
        return answer()
      }
      return {
        list: async () => ({ list: list(), max_ttl_seconds: 600, max_invitations: 16 }),
        invite: ({ role, label = null }) =>
          answering(() => {
            const id = `i${list().length + 1}`
            const invitation = { id, role, label, expires_at: '2099-01-01T00:00:00.000Z', is_used: false }
            bySession.set(session.id, [invitation, ...list()])
            return { invitation, url: SECRET }
          }),
        revoke: (id) =>
          answering(() => {
            bySession.set(
              session.id,
              list().filter((each) => each.id !== id),
            )
          }),
      }
    },
  }
  return played
}

const roleOf = (token: string): ConsoleRole => (token === OTHER_TOKEN ? 'watch' : 'control')

/** Ann, who may invite, and a watcher beside her, who may not. */
async function started(options: RunOptions = {}) {
  await using opened = new AsyncDisposableStack()
  const played = playedInvitations()
  const admission = (token: string) => ({ role: roleOf(token), ...(token === OTHER_TOKEN ? {} : { inviter: 'one' }) })
  const it = opened.use(await running({ admission, invitationsOf: played.invitationsOf, ...options }))
  opened.use(await open(it.address, { protocols: ['binary', `oriel.page.${KEY}`] }))
  const watching = { path: `/?token=${OTHER_TOKEN}`, protocols: ['binary', `oriel.page.${OTHER_KEY}`] }
  opened.use(await open(it.address, watching))
  const ann = opened.use(await openPage(it.address, KEY))
  const watcher = opened.use(await openPage(it.address, OTHER_KEY))
  const close = opened.move()
  return { it, played, ann, watcher, [Symbol.asyncDispose]: () => close.disposeAsync() }
}

const INVITE = { type: 'invite', ref: 'r1', role: 'watch', label: 'Bob', ttl_seconds: 60 } as const

describe('a page that may invite', () => {
  it('gets the link alone, and sees its invitation until it revokes it', async () => {
    await using run = await started()
    const { it, ann, watcher, played } = run
    const own = (await ann.state(({ invitations }) => invitations?.list.length === 0)).you
    expect(played.asked).toEqual([{ id: own, inviter: 'one' }])
    const invitation = { id: 'i1', role: 'watch', label: 'Bob', expires_at: expect.any(String), is_used: false }
    expect(await ann.answer('invited', INVITE)).toEqual({ type: 'invited', ref: 'r1', url: SECRET, invitation })
    const listing = await ann.state(({ invitations }) => invitations?.list.length === 1)
    expect(listing).toMatchObject({ may_invite: true, invitations: { list: [invitation], max_ttl_seconds: 600 } })
    const revoked = await ann.answer('invitation_revoked', { type: 'revoke_invitation', ref: 'r2', id: 'i1' })
    expect(revoked).toEqual({ type: 'invitation_revoked', ref: 'r2', id: 'i1' })
    await ann.state(({ invitations }) => invitations?.list.length === 0)
    expect(JSON.stringify([...ann.states, ...watcher.states])).not.toContain('secret-of-the-link')
    expect(it.log.text()).not.toContain('secret-of-the-link')
  })

  it('sees that an invitation was used once somebody has come, and lists them after it has reconnected', async () => {
    await using run = await started()
    const { it, ann, played } = run
    await ann.answer('invited', INVITE)
    played.used('i1')
    using _guest = await open(it.address, { path: `/?token=${OTHER_TOKEN}` })
    await ann.state(({ invitations }) => invitations?.list[0]?.is_used === true)
    using again = await openPage(it.address, KEY)
    await again.state(({ invitations }) => invitations?.list.length === 1)
  })

  it('gets the sentence of an objection, and that of a refusal, with the ref of its request', async () => {
    await using run = await started()
    const { it, ann, played } = run
    played.failure = new InvitationObjection('A session has at most 16 invitations.')
    const refused = { type: 'refused', request: 'invite', ref: 'r1' }
    expect(await ann.refusal(INVITE)).toEqual({ ...refused, text: 'A session has at most 16 invitations.' })
    played.failure = new Refused('authority_unavailable', 'the API does not respond')
    expect(await ann.refusal(INVITE)).toEqual({ ...refused, text: refusals.authority_unavailable.text })
    expect(it.log.records('an invitation failed')).toMatchObject([{ detail: 'the API does not respond' }])
  })

  it('has its requests carried out one after the other, and at most 60 in a minute', async () => {
    await using run = await started()
    const { ann, played } = run
    for (let i = 0; i < 60; i += 1) ann.ws.send(JSON.stringify(INVITE))
    expect(await ann.refusal(INVITE)).toMatchObject({ ref: 'r1', text: expect.stringMatching(/Too many/) })
    await ann.state(({ invitations }) => invitations?.list.length === 60)
    expect(played.mostBusy).toBe(1)
  })

  it.each([
    { type: 'invite' },
    { type: 'invite', role: 'own' },
    { type: 'invite', role: 'watch', ttl_seconds: 0 },
    { type: 'invite', role: 'watch', label: '\u202e' },
    { type: 'invite', role: 'watch', session_id: 's2' },
    { type: 'revoke_invitation' },
    { type: 'invite', role: 'watch', ref: 'x'.repeat(65) },
  ])('is refused %j as malformed', async (request) => {
    await using run = await started()
    const {
      type,
      request: named,
      text,
    } = (await run.ann.refusal(request)) as { type: string; request: string; text: string }
    expect({ type, named, text }).toEqual({ type: 'refused', named: request.type, text: 'The request is malformed.' })
  })

  it('loses its presence alone if a request fails with an unexpected error', async () => {
    await using run = await started()
    run.played.failure = new Error('unexpected')
    run.ann.ws.send(JSON.stringify(INVITE))
    expect((await run.ann.closed()).code).toBe(closeReasons.proxy_error.code)
    expect(run.it.proxy.sessions()).toHaveLength(2)
  })
})

describe('a page that may not invite', () => {
  it('is refused, and sees no invitations of others', async () => {
    await using run = await started()
    const { ann, watcher, played } = run
    await ann.answer('invited', INVITE)
    const refused = { type: 'refused', ref: 'r1', text: 'You may not invite to this console.' }
    expect(await watcher.refusal(INVITE)).toEqual({ ...refused, request: 'invite' })
    const revoking = { type: 'revoke_invitation', ref: 'r1', id: 'i1' }
    expect(await watcher.refusal(revoking)).toEqual({ ...refused, request: 'revoke_invitation' })
    for (const state of watcher.states) {
      expect(state).not.toHaveProperty('may_invite')
      expect(state).not.toHaveProperty('invitations')
    }
    expect(played.asked).toHaveLength(1)
  })

  it('is that of an authority without invitations', async () => {
    await using run = await started({ invitationsOf: undefined as never })
    expect(await run.ann.refusal(INVITE)).toMatchObject({ text: 'You may not invite to this console.' })
  })
})
