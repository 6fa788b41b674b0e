/** What every session store must do. Each database's test runs this whole suite. */
import { describe, expect, test } from 'vitest'
import {
  type Invitation,
  type NewSession,
  type PortState,
  PROXY_LOST,
  RESUMABLE_MS,
  type SessionRecord,
  type Stores,
} from '../../src/index.ts'

/** Opens empty stores with their own clock. */
export type OpenStores = (now: () => number) => Promise<Stores>

export const newSession = (changes: Partial<NewSession> = {}): NewSession => ({
  ...{ serverId: 'server-1', serverName: 'web', projectId: 'project-1', userId: 'alice' },
  ...{ protocol: 'vnc', type: 'novnc', clientAddress: '10.0.0.9', proxyId: 'proxy-1' },
  ...changes,
})

const BORN = Date.UTC(2026, 10, 22)
const OLD_MS = 15_000
const nothing = { open: [], ended: [] }
const counts = (toClient: number, toConsole: number) => ({ bytesToClient: toClient, bytesToConsole: toConsole })
const named = ({ id }: SessionRecord, toClient = 0, toConsole = 0) => ({ id, ...counts(toClient, toConsole) })
const over = ({ id }: SessionRecord, endedAt = BORN + 500) => ({
  ...{ id, endedAt, reason: 'client_closed' as const, ...counts(7, 8) },
})
const resumable = (stores: Stores, ...sessions: readonly SessionRecord[]) =>
  Promise.all(sessions.map(async ({ id }) => (await stores.sessions.findResumable(id)) !== undefined))
const idsOf = (sessions: readonly { readonly id: string }[]) => sessions.map(({ id }) => id)

export function sessionStoreSuite(name: string, open: OpenStores): void {
  describe(`session store: ${name}`, () => {
    test('returns an added session as open', async () => {
      await using stores = await open(() => BORN)
      const added = await stores.sessions.add(newSession())
      expect(added).toMatchObject({ ...newSession(), startedAt: BORN, endedAt: null, endReason: null, ...counts(0, 0) })
      expect(await stores.sessions.find(added.id)).toEqual(added)
      expect(await stores.sessions.find('none')).toBeUndefined()
      expect(await stores.sessions.find(added.id.toUpperCase())).toBeUndefined()
    })

    test('returns, of the sessions that are asked for, those of one proxy', async () => {
      await using stores = await open(() => BORN)
      const [own, other] = [await stores.sessions.add(newSession()), await stores.sessions.add(newSession())]
      const foreign = await stores.sessions.add(newSession({ proxyId: 'proxy-2' }))
      const found = await stores.sessions.findOfProxy('proxy-1', [own.id, foreign.id, 'none'])
      expect([...found]).toEqual([[own.id, own]])
      expect((await stores.sessions.findOfProxy('proxy-1', [other.id])).get(other.id)).toEqual(other)
      expect((await stores.sessions.findOfProxy('proxy-1', [])).size).toBe(0)
    })

    test('returns the options of a session, and their defaults', async () => {
      await using stores = await open(() => BORN)
      const defaults = {
        role: 'control',
        label: null,
        invitationId: null,
        usedTokenId: null,
        mayInvite: false,
      } as const
      const none = await stores.sessions.add(newSession())
      expect(none).toMatchObject(defaults)
      for (const options of [
        { role: 'watch' as const },
        { label: 'Zoë' },
        { invitationId: 'invitation-1' },
        { usedTokenId: 'a'.repeat(64) },
        { mayInvite: true },
      ]) {
        const added = await stores.sessions.add(newSession(options))
        expect(added).toMatchObject({ ...defaults, ...options })
        expect(await stores.sessions.find(added.id)).toEqual(added)
        expect(await stores.sessions.list({ limit: 10 })).toContainEqual(added)
        const beat = { open: [], ended: [over(added)] }
        expect((await stores.sessions.beat('proxy-1', beat, OLD_MS)).ended).toMatchObject([{ ...defaults, ...options }])
      }
      expect(await stores.sessions.find(none.id)).toEqual(none)
    })

    describe('held ports', () => {
      const silence = { silentMs: OLD_MS, resumedSilentMs: OLD_MS / 2 }
      const serial = (proxyId: string) => newSession({ protocol: 'serial', type: 'serial', proxyId })
      const at = (stores: Stores, proxyId: string, sessionId: string | null, takeOver = false) =>
        stores.ports.hold({ serverId: 'server-1', type: 'serial', proxyId, sessionId, takeOver, ...silence })
      /** Adds a session at a proxy, which then claims the port for it. */
      async function claim(stores: Stores, proxyId: string, takeOver = false, resumes?: string) {
        const session = await stores.sessions.add(serial(proxyId), resumes)
        return { session, state: await at(stores, proxyId, session.id, takeOver) }
      }
      const idOf = (state: PortState) => ('holdId' in state ? state.holdId : '')
      const stateOf = (stores: Stores, proxyId: string, state: PortState) =>
        stores.ports.find(proxyId, idOf(state), OLD_MS)
      const reports = (stores: Stores, proxyId: string, ...sessions: SessionRecord[]) =>
        stores.sessions.beat(proxyId, { open: sessions.map((session) => named(session)), ended: [] }, OLD_MS)
      const ready = { holdId: expect.any(String), ready: true }
      const pending = { holdId: expect.any(String), ready: false }

      test('belong to the first proxy, and name its sessions to the second', async () => {
        await using stores = await open(() => BORN)
        const { session, state } = await claim(stores, 'proxy-1')
        const joined = await stores.sessions.add({ ...serial('proxy-1'), label: 'Zoë' })
        await stores.sessions.add(newSession())
        expect(state).toEqual(ready)
        const sessions = expect.arrayContaining([session, joined])
        const heldBy = { proxyId: 'proxy-1', since: BORN, sessions }
        const second = await claim(stores, 'proxy-2')
        expect(second.state).toEqual({ heldBy, mayBeLost: false })
        expect('heldBy' in second.state && second.state.heldBy.sessions).toHaveLength(2)
        expect(await stores.ports.yielding('proxy-1')).toEqual([])
        const vnc = { serverId: 'server-1', type: 'novnc' as const, proxyId: 'proxy-2', sessionId: null }
        expect(await stores.ports.hold({ ...vnc, takeOver: false, ...silence })).toEqual(ready)
      })

      test('go to one of several proxies that claim a free one at the same time', async () => {
        await using stores = await open(() => BORN)
        const claims = await Promise.all(['proxy-1', 'proxy-2', 'proxy-3', 'proxy-4'].map((id) => claim(stores, id)))
        expect(claims.filter(({ state }) => 'holdId' in state)).toHaveLength(1)
      })

      test('may be held again by their own proxy, and then only under the new id', async () => {
        await using stores = await open(() => BORN)
        const first = await claim(stores, 'proxy-1')
        const second = await claim(stores, 'proxy-1')
        expect(second.state).toEqual(ready)
        await stores.ports.release('proxy-1', idOf(first.state))
        await stores.ports.release('proxy-2', idOf(second.state))
        expect(await stateOf(stores, 'proxy-1', first.state)).toBeUndefined()
        expect(await stateOf(stores, 'proxy-1', second.state)).toEqual(second.state)
        expect(await stateOf(stores, 'proxy-2', second.state)).toBeUndefined()
      })

      test('are free once they are released', async () => {
        await using stores = await open(() => BORN)
        const { state } = await claim(stores, 'proxy-1')
        await stores.ports.release('proxy-1', idOf(state))
        await stores.ports.release('proxy-1', idOf(state))
        expect((await claim(stores, 'proxy-2')).state).toEqual(ready)
      })

      test('are ready for a proxy that takes them over once the holder has released them', async () => {
        await using stores = await open(() => BORN)
        const first = await claim(stores, 'proxy-1')
        const second = await claim(stores, 'proxy-2', true)
        expect(second.state).toEqual({ ...pending, takenFrom: expect.objectContaining({ proxyId: 'proxy-1' }) })
        expect(await stores.ports.yielding('proxy-1')).toEqual([
          { holdId: idOf(first.state), proxyId: 'proxy-1', sessions: [first.session] },
        ])
        expect(await stores.ports.yielding('proxy-2')).toEqual([])
        expect(await stateOf(stores, 'proxy-2', second.state)).toMatchObject(pending)
        await stores.ports.release('proxy-1', idOf(first.state))
        expect(await stateOf(stores, 'proxy-2', second.state)).toEqual(ready)
        expect(await stores.ports.yielding('proxy-1')).toEqual([])
      })

      test('go to one of several proxies that take them over at the same time', async () => {
        await using stores = await open(() => BORN)
        await claim(stores, 'proxy-1')
        const claims = await Promise.all(['proxy-2', 'proxy-3', 'proxy-4'].map((id) => claim(stores, id, true)))
        expect(claims.filter(({ state }) => 'holdId' in state)).toHaveLength(1)
      })

      test('return to the holder if the proxy that takes them over gives up', async () => {
        await using stores = await open(() => BORN)
        const first = await claim(stores, 'proxy-1')
        const second = await claim(stores, 'proxy-2', true)
        await stores.ports.release('proxy-2', idOf(second.state))
        expect(await stateOf(stores, 'proxy-1', first.state)).toEqual(first.state)
        expect(await stores.ports.yielding('proxy-1')).toEqual([])
        expect((await claim(stores, 'proxy-3')).state).toMatchObject({ heldBy: { proxyId: 'proxy-1' } })
      })

      test('go to another proxy at once if no session at the holder is open, or only those that it resumes', async () => {
        await using stores = await open(() => BORN)
        const first = await claim(stores, 'proxy-1')
        const back = await claim(stores, 'proxy-2', false, first.session.id)
        expect(back.state).toEqual(ready)
        expect(await stores.ports.yielding('proxy-1')).toMatchObject([{ sessions: [first.session] }])
        await stores.ports.release('proxy-1', idOf(first.state))
        await stores.sessions.end(back.session.id, 'client_closed')
        expect((await claim(stores, 'proxy-3')).state).toEqual(ready)
        expect(await stores.ports.yielding('proxy-2')).toMatchObject([{ sessions: [] }])
      })

      test('of a proxy that stays connected without viewers go to another one once it has released them', async () => {
        await using stores = await open(() => BORN)
        await stores.sessions.add(newSession())
        const standing = await at(stores, 'proxy-1', null)
        const second = await claim(stores, 'proxy-2')
        expect([standing, second.state]).toEqual([ready, pending])
        await stores.ports.release('proxy-1', idOf(standing))
        expect(await stateOf(stores, 'proxy-2', second.state)).toEqual(ready)
      })

      test('of a silent proxy are free, and it learns that it has lost them if it reports again', async () => {
        let now = BORN
        await using stores = await open(() => now)
        const first = await claim(stores, 'proxy-1')
        now += OLD_MS
        expect((await claim(stores, 'proxy-2')).state).toHaveProperty('heldBy')
        now += 1
        expect((await claim(stores, 'proxy-2')).state).toEqual(ready)
        await reports(stores, 'proxy-1', first.session)
        expect(await stores.ports.yielding('proxy-1')).toMatchObject([{ holdId: idOf(first.state) }])
      })

      test('may be lost by a holder that has not reported since a session came back, and soon are', async () => {
        let now = BORN
        await using stores = await open(() => now)
        const first = await claim(stores, 'proxy-1')
        const other = await stores.sessions.add(serial('proxy-1'))
        const back = await claim(stores, 'proxy-2', false, other.id)
        expect(back.state).toMatchObject({ heldBy: { proxyId: 'proxy-1' }, mayBeLost: true })
        now += OLD_MS / 2
        expect(await at(stores, 'proxy-2', back.session.id)).toHaveProperty('mayBeLost', true)
        now += 1
        expect((await claim(stores, 'proxy-3')).state).toHaveProperty('mayBeLost', false)
        const held = await at(stores, 'proxy-2', back.session.id)
        expect(held).toEqual(ready)
        expect(await stores.ports.yielding('proxy-1')).toMatchObject([{ holdId: idOf(first.state) }])
      })

      test('are not lost by a holder that has reported since a session came back', async () => {
        let now = BORN
        await using stores = await open(() => now)
        const { session } = await claim(stores, 'proxy-1')
        const other = await stores.sessions.add(serial('proxy-1'))
        const back = await claim(stores, 'proxy-2', false, other.id)
        now += 1
        await reports(stores, 'proxy-1', session, other)
        expect(await at(stores, 'proxy-2', back.session.id)).toHaveProperty('mayBeLost', false)
      })

      test('are held by all processes of a group, whose sessions are in the way, and which learn that they lose them', async () => {
        await using stores = await open(() => BORN)
        for (const id of ['proxy-1', 'proxy-2', 'proxy-1']) await stores.ports.group(id, 'group-1')
        await stores.ports.group('proxy-3', 'group-3')
        const reading = await stores.sessions.add(serial('proxy-2'))
        const { session, state } = await claim(stores, 'proxy-1')
        await stores.sessions.end(session.id, 'client_closed')
        expect((await claim(stores, 'proxy-3')).state).toMatchObject({
          heldBy: { proxyId: 'proxy-1', sessions: [reading] },
        })
        expect((await claim(stores, 'proxy-3', true)).state).toMatchObject(pending)
        const lost = { holdId: idOf(state), proxyId: 'proxy-1' }
        expect(await stores.ports.yielding('proxy-1')).toEqual([{ ...lost, sessions: [] }])
        expect(await stores.ports.yielding('proxy-2')).toEqual([{ ...lost, sessions: [reading] }])
      })

      test('go from one process of a group to another', async () => {
        await using stores = await open(() => BORN)
        for (const id of ['proxy-1', 'proxy-2']) await stores.ports.group(id, 'group-1')
        await claim(stores, 'proxy-1')
        expect((await claim(stores, 'proxy-2')).state).toEqual(ready)
      })

      test('of the right to control a console exclude neither watchers nor a hold of its connection', async () => {
        await using stores = await open(() => BORN)
        const hold = (proxyId: string, session: SessionRecord, takeOver = false) =>
          stores.ports.hold({
            ...{ serverId: 'server-1', type: 'serial', proxyId, sessionId: session.id, takeOver, exclusive: true },
            ...silence,
          })
        const watcher = await stores.sessions.add({ ...serial('proxy-1'), role: 'watch' })
        const first = await claim(stores, 'proxy-1')
        const held = await hold('proxy-1', first.session)
        expect(held).toEqual(ready)
        const second = await stores.sessions.add(serial('proxy-2'))
        expect(await hold('proxy-2', second)).toMatchObject({ heldBy: { sessions: [first.session] } })
        expect(await hold('proxy-2', second, true)).toMatchObject({
          ...pending,
          takenFrom: { sessions: [first.session] },
        })
        expect(await stores.ports.yielding('proxy-1')).toEqual([
          { holdId: idOf(held), proxyId: 'proxy-1', sessions: [first.session] },
        ])
        expect(await stateOf(stores, 'proxy-1', first.state)).toEqual(ready)
        await stores.sessions.end(first.session.id, 'taken_over')
        await stores.ports.release('proxy-1', idOf(held))
        expect(await hold('proxy-2', second)).toEqual(ready)
        expect(watcher.role).toBe('watch')
      })

      test('of the right to control a console name the session that has it, not others that ended or were refused', async () => {
        let now = BORN
        await using stores = await open(() => now)
        const hold = ({ id, proxyId }: SessionRecord) =>
          stores.ports.hold({
            ...{ serverId: 'server-1', type: 'serial', proxyId, sessionId: id, takeOver: false, exclusive: true },
            ...silence,
          })
        const add = (proxyId: string, resumes?: string) => {
          now += 1
          return stores.sessions.add(serial(proxyId), resumes)
        }
        await hold(await add('proxy-1'))
        const second = await add('proxy-1')
        await hold(second)
        await add('proxy-1')
        expect(await hold(await add('proxy-2'))).toMatchObject({ heldBy: { sessions: [second] } })
        expect(await hold(await add('proxy-2', second.id))).toEqual(ready)
      })

      test('that a proxy takes over are ready when the holder is silent', async () => {
        let now = BORN
        await using stores = await open(() => now)
        await claim(stores, 'proxy-1')
        const second = await claim(stores, 'proxy-2', true)
        now += OLD_MS + 1
        await reports(stores, 'proxy-2', second.session)
        expect(await stateOf(stores, 'proxy-2', second.state)).toEqual(ready)
      })

      test('are forgotten with their proxies', async () => {
        let now = BORN
        await using stores = await open(() => now)
        const { state } = await claim(stores, 'proxy-1')
        await stores.sessions.forget(0)
        expect(await stateOf(stores, 'proxy-1', state)).toEqual(state)
        now += 2
        await stores.sessions.forget(1)
        expect(await stateOf(stores, 'proxy-1', state)).toBeUndefined()
      })
    })

    describe('invitations', () => {
      const newInvitation = (sessionId: string, changes: Partial<Invitation> = {}) => ({
        ...{ id: `invitation-${Math.random()}`, sessionId, serverId: 'server-1', type: 'novnc' as const },
        ...{ role: 'watch' as const, label: 'Zoë 👩🏽‍💻', createdBy: 'alice', expiresAt: BORN + 60_000 },
        ...{ tokenId: 'a'.repeat(64), ...changes },
      })

      test('are found, and listed newest first, by their session and by those that resume it', async () => {
        let now = BORN
        await using stores = await open(() => now)
        const { sessions, invitations } = stores
        const session = await sessions.add(newSession())
        const first = await invitations.add(newInvitation(session.id, { label: null }))
        now += 1
        const resumed = await sessions.add(newSession(), session.id)
        const second = await invitations.add(newInvitation(resumed.id))
        expect(first).toEqual({ ...newInvitation(session.id, { label: null, id: first.id }), createdAt: BORN })
        const other = await sessions.add(newSession())
        for (const { id } of [session, resumed]) {
          expect(await invitations.list(id)).toEqual([second, first])
          expect(await invitations.find(id, first.id)).toEqual(first)
        }
        expect(await invitations.list(other.id)).toEqual([])
        expect(await invitations.find(other.id, first.id)).toBeUndefined()
      })

      test('are revoked once, found afterwards, and not listed', async () => {
        await using stores = await open(() => BORN)
        const { sessions, invitations } = stores
        const session = await sessions.add(newSession())
        const invitation = await invitations.add(newInvitation(session.id))
        expect([await invitations.revoke(invitation.id), await invitations.revoke(invitation.id)]).toEqual([
          true,
          false,
        ])
        expect(await invitations.find(session.id, invitation.id)).toEqual(invitation)
        expect(await invitations.list(session.id)).toEqual([])
        expect([await invitations.isUsable(invitation.id), await invitations.isUsable('none')]).toEqual([false, false])
      })

      test('are usable while their session, or one that resumes it, is open and is to stay open', async () => {
        let now = BORN
        await using stores = await open(() => now)
        const { sessions, invitations } = stores
        const session = await sessions.add(newSession())
        const { id } = await invitations.add(newInvitation(session.id))
        expect(await invitations.isUsable(id)).toBe(true)
        await sessions.end(session.id, 'client_lost')
        expect(await invitations.isUsable(id)).toBe(false)
        now += 1
        const resumed = await sessions.add(newSession(), session.id)
        expect(await invitations.isUsable(id)).toBe(true)
        await sessions.wantEnd(resumed.id, 'ended')
        expect(await invitations.isUsable(id)).toBe(false)
      })

      test('are current until they expire or are revoked, unless they were used', async () => {
        let now = BORN
        await using stores = await open(() => now)
        const { sessions, invitations } = stores
        const session = await sessions.add(newSession())
        const current = async () => (await invitations.listCurrent(session.id)).map(({ id, isUsed }) => [id, isUsed])
        const [unused, used, revoked, unopened, silent] = await Promise.all(
          ['unused', 'used', 'revoked', 'unopened', 'silent'].map((id) =>
            invitations.add(newInvitation(session.id, { id })),
          ),
        )
        await invitations.add(newInvitation((await sessions.add(newSession())).id, { id: 'of another session' }))
        const guestOf = ({ id }: Invitation) => sessions.add(newSession({ invitationId: id }))
        const guest = await guestOf(used!)
        await sessions.end((await guestOf(unopened!)).id, 'console_unreachable')
        await sessions.end((await guestOf(silent!)).id, 'client_closed')
        await invitations.revoke(revoked!.id)
        expect(Object.fromEntries(await current())).toEqual({
          unused: false,
          used: true,
          unopened: false,
          silent: true,
        })
        await sessions.beat('proxy-1', { open: [], ended: [over(guest)] }, OLD_MS)
        now = unused!.expiresAt
        expect(Object.fromEntries(await current())).toEqual({ used: true, silent: true })
        await invitations.revoke(used!.id)
        expect(await current()).toEqual([['silent', true]])
      })

      test('name the sessions that came with them to close, and no others', async () => {
        await using stores = await open(() => BORN)
        const { sessions } = stores
        const [guest, away, other] = [
          await sessions.add(newSession({ invitationId: 'one' })),
          await sessions.add(newSession({ invitationId: 'one' })),
          await sessions.add(newSession({ invitationId: 'other' })),
        ]
        await sessions.end(away.id, 'client_lost')
        expect(await sessions.wantInvitedEnd('one', 'revoked')).toBe(1)
        expect(await sessions.find(guest.id)).toMatchObject({ endWanted: 'revoked' })
        expect(await sessions.find(other.id)).toMatchObject({ endWanted: null })
        expect([await sessions.findResumable(away.id), await sessions.findResumable(other.id)]).toEqual([
          undefined,
          expect.objectContaining({ id: other.id }),
        ])
      })

      test('are forgotten some time after their expiry, unless a session that came with them is remembered', async () => {
        let now = BORN
        await using stores = await open(() => now)
        const { sessions, invitations } = stores
        const session = await sessions.add(newSession())
        const [kept, gone] = [
          await invitations.add(newInvitation(session.id)),
          await invitations.add(newInvitation(session.id)),
        ]
        await sessions.add(newSession({ invitationId: kept.id }))
        now = kept.expiresAt + 1_000
        await sessions.forget(1_000)
        expect(await invitations.list(session.id)).toHaveLength(2)
        now += 1
        await sessions.forget(1_000)
        expect(await invitations.list(session.id)).toEqual([kept])
        expect(await invitations.find(session.id, gone.id)).toBeUndefined()
      })
    })

    test('cuts a name that is longer than its column', async () => {
      await using stores = await open(() => BORN)
      expect((await stores.sessions.add(newSession({ serverName: 'x'.repeat(300) }))).serverName).toHaveLength(255)
    })

    test('lists sessions newest first, filtered, and after any of them', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const added: SessionRecord[] = []
      for (const serverId of ['a', 'b', 'a', 'b', 'a']) {
        // Two of a moment stand in one order, too.
        if (serverId === 'a') now += 1
        added.push(await stores.sessions.add(newSession({ serverId, projectId: `of-${serverId}`, userId: `u-${now}` })))
      }
      const all = await stores.sessions.list({ limit: 10 })
      expect(all.map(({ startedAt }) => startedAt)).toEqual(
        all
          .map(({ startedAt }) => startedAt)
          .toSorted()
          .reverse(),
      )
      expect(new Set(idsOf(all))).toEqual(new Set(idsOf(added)))
      const pages: string[] = []
      for (let after: SessionRecord | undefined; ; ) {
        const page = await stores.sessions.list({ limit: 2, after })
        pages.push(...idsOf(page))
        after = page.at(-1)
        if (!after) break
      }
      expect(pages).toEqual(idsOf(all))
      const of = async (filter: object) => (await stores.sessions.list({ limit: 10, ...filter })).length
      expect([await of({ projectId: 'of-a' }), await of({ serverId: 'b' }), await of({ userId: 'nobody' })]).toEqual([
        ...[3, 2, 0],
      ])
      await stores.sessions.end(added[0]!.id, 'ended')
      expect([await of({ state: 'open' }), await of({ state: 'ended' })]).toEqual([4, 1])
    })

    test('compares ids of projects and servers exactly', async () => {
      await using stores = await open(() => BORN)
      await stores.sessions.add(newSession({ projectId: 'project', serverId: 'server' }))
      expect(await stores.sessions.list({ projectId: 'PROJECT', limit: 1 })).toEqual([])
      expect(await stores.sessions.list({ serverId: 'server ', limit: 1 })).toEqual([])
      expect(await stores.sessions.wantServerEnd('SERVER', 'revoked')).toBe(0)
    })

    test('stores byte counts of more than 32 bits', async () => {
      await using stores = await open(() => BORN)
      const session = await stores.sessions.add(newSession())
      const outcome = await stores.sessions.beat('proxy-1', { open: [named(session, 2 ** 40, 5)], ended: [] }, OLD_MS)
      expect(outcome).toEqual({ end: [], ended: [], returned: [] })
      expect(await stores.sessions.find(session.id)).toMatchObject(counts(2 ** 40, 5))
    })

    test('keeps the first of several reported ends', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const session = await stores.sessions.add(newSession())
      now += 1_000
      const beat = { open: [], ended: [over(session)] }
      const first = await stores.sessions.beat('proxy-1', beat, OLD_MS)
      expect(first.ended).toEqual([
        { ...session, endedAt: BORN + 500, endReason: 'client_closed', ...counts(7, 8) } satisfies SessionRecord,
      ])
      expect((await stores.sessions.beat('proxy-1', beat, OLD_MS)).ended).toEqual([])
      expect(
        (await stores.sessions.beat('proxy-1', { ...nothing, ended: [over(session, BORN)] }, OLD_MS)).ended,
      ).toEqual([])
      expect(await stores.sessions.find(session.id)).toMatchObject({ endedAt: BORN + 500 })
    })

    test('ignores a proxy’s report about sessions of another proxy', async () => {
      await using stores = await open(() => BORN)
      const session = await stores.sessions.add(newSession())
      const { ended } = await stores.sessions.beat(
        'proxy-2',
        { open: [named(session, 1, 1)], ended: [over(session)] },
        0,
      )
      expect(ended).toEqual([])
      expect(await stores.sessions.find(session.id)).toEqual(session)
    })

    test('keeps a proxy id for its first owner until the proxy is silent and has no open session', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const claim = (owner: string) => stores.sessions.claimProxy('proxy-1', owner.repeat(64), OLD_MS)
      expect([await claim('a'), await claim('b'), await claim('a')]).toEqual([true, false, true])
      await stores.sessions.add(newSession())
      now += OLD_MS + 1
      expect(await claim('b')).toBe(false)
      expect(await stores.sessions.endLost(OLD_MS)).toHaveLength(1)
      expect([await claim('b'), await claim('a')]).toEqual([true, false])
      expect(await stores.sessions.claimProxy('PROXY-1', 'c'.repeat(64), OLD_MS)).toBe(true)
    })

    test('gives a proxy id to one of several owners that claim it at once', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const race = (owners: string) =>
        Promise.all([...owners].map((owner) => stores.sessions.claimProxy('proxy-1', owner.repeat(64), OLD_MS)))
      expect((await race('abcd')).filter((isOwner) => isOwner)).toHaveLength(1)
      now += OLD_MS + 1
      expect((await race('efgh')).filter((isOwner) => isOwner)).toHaveLength(1)
    })

    test('lets a session be resumed while it is open, and for a day after it ended', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const session = await stores.sessions.add(newSession())
      expect(await stores.sessions.findResumable(session.id)).toEqual(session)
      expect(await stores.sessions.findResumable('none')).toBeUndefined()
      await stores.sessions.end(session.id, 'client_lost')
      now += RESUMABLE_MS
      expect(await stores.sessions.findResumable(session.id)).toMatchObject({ endReason: 'client_lost' })
      now += 1
      expect(await stores.sessions.findResumable(session.id)).toBeUndefined()
    })

    test('lets no session be resumed after it was ended on purpose, whether it was open then or not', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const [one, two, three, four] = await Promise.all([1, 2, 3, 4].map(() => stores.sessions.add(newSession())))
      await stores.sessions.end(two!.id, 'client_lost')
      now += 1_000
      expect(await stores.sessions.wantEnd(one!.id, 'ended')).toBe(true)
      expect(await stores.sessions.wantEnd(two!.id, 'ended')).toBe(false)
      const byOperator = { ...over(three!), reason: 'ended' as const }
      await stores.sessions.beat('proxy-1', { open: [named(four!)], ended: [byOperator] }, OLD_MS)
      expect(await resumable(stores, one!, two!, three!, four!)).toEqual([false, false, false, true])
    })

    test('lets no session of a server be resumed after a revocation, not even one whose client was lost before', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const [open_, lost, other] = [
        await stores.sessions.add(newSession()),
        await stores.sessions.add(newSession()),
        await stores.sessions.add(newSession({ serverId: 'server-2' })),
      ]
      await stores.sessions.end(lost.id, 'client_lost')
      now += 1_000
      expect(await stores.sessions.wantServerEnd('server-1', 'revoked')).toBe(1)
      const later = await stores.sessions.add(newSession())
      expect(await resumable(stores, open_, lost, other, later)).toEqual([false, false, true, true])
    })

    test('lets sessions be resumed after their server moved, but none that was ended or revoked before', async () => {
      await using stores = await open(() => BORN)
      const [ended, revoked] = [await stores.sessions.add(newSession()), await stores.sessions.add(newSession())]
      const away = await stores.sessions.add(newSession())
      await stores.sessions.end(away.id, 'client_lost')
      await stores.sessions.wantServerEnd('server-1', 'revoked')
      const stranger = await stores.sessions.add(newSession({ serverId: 'server-2' }))
      await stores.sessions.wantEnd(stranger.id, 'ended')
      const open_ = await stores.sessions.add(newSession())
      for (const id of ['server-1', 'server-2']) await stores.sessions.wantServerEnd(id, 'moved')
      expect(await resumable(stores, ended, revoked, away, stranger, open_)).toEqual([false, false, false, false, true])
      expect(await stores.sessions.find(stranger.id)).toMatchObject({ endWanted: 'ended' })
      expect(await stores.sessions.find(open_.id)).toMatchObject({ endWanted: 'moved' })
    })

    test('keeps a session that is to be closed because its server moved, and none that is to be closed otherwise', async () => {
      await using stores = await open(() => BORN)
      const [moved, revoked, other] = [
        await stores.sessions.add(newSession()),
        await stores.sessions.add(newSession({ serverId: 'server-2' })),
        await stores.sessions.add(newSession()),
      ]
      await stores.sessions.wantServerEnd('server-1', 'moved')
      await stores.sessions.wantServerEnd('server-2', 'revoked')
      for (const { id } of [moved, revoked]) await stores.sessions.keepMoved(id)
      const wanted = async ({ id }: SessionRecord) => (await stores.sessions.find(id))?.endWanted
      expect(await Promise.all([moved, revoked, other].map(wanted))).toEqual([null, 'revoked', 'moved'])
    })

    test('lets no session be resumed after one of those was ended that continued it', async () => {
      await using stores = await open(() => BORN)
      const first = await stores.sessions.add(newSession())
      const second = await stores.sessions.add(newSession(), first.id)
      const third = await stores.sessions.add(newSession(), second.id)
      const stranger = await stores.sessions.add(newSession())
      expect(await resumable(stores, first, second, third, stranger)).toEqual([true, true, true, true])
      await Promise.all([1, 2, 3].map(() => stores.sessions.wantEnd(second.id, 'ended')))
      expect(await resumable(stores, first, second, third, stranger)).toEqual([false, false, false, true])
      expect(await stores.sessions.find(third.id)).toMatchObject({ endedAt: null, endWanted: null })
    })

    test('remembers the end of a family as long as one of its sessions', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const first = await stores.sessions.add(newSession())
      await stores.sessions.end(first.id, 'client_lost')
      now += 10_000
      const second = await stores.sessions.add(newSession(), first.id)
      await stores.sessions.wantEnd(first.id, 'ended')
      expect(await stores.sessions.forget(5_000)).toBe(1)
      expect(await resumable(stores, second)).toEqual([false])
    })

    test('forgets the owner of a proxy together with the proxy', async () => {
      let now = BORN
      await using stores = await open(() => now)
      await stores.sessions.claimProxy('proxy-1', 'a'.repeat(64), 100 * OLD_MS)
      now += 2
      await stores.sessions.forget(1)
      expect(await stores.sessions.claimProxy('proxy-1', 'b'.repeat(64), 100 * OLD_MS)).toBe(true)
    })

    test.each([
      ['before the session started', Date.UTC(1970, 0, 1), BORN],
      ['in the future', BORN + 999_999, BORN + 5_000],
    ])('clamps an end that a proxy reports %s', async (_, reported, kept) => {
      let now = BORN
      await using stores = await open(() => now)
      const session = await stores.sessions.add(newSession())
      now += 5_000
      await stores.sessions.beat('proxy-1', { open: [], ended: [over(session, reported)] }, OLD_MS)
      expect(await stores.sessions.find(session.id)).toMatchObject({ endedAt: kept })
    })

    test('never lowers a byte count', async () => {
      await using stores = await open(() => BORN + 1_000)
      const session = await stores.sessions.add(newSession())
      for (const [toClient, toConsole] of [
        [100, 1],
        [1, 100],
      ] as const) {
        await stores.sessions.beat('proxy-1', { open: [named(session, toClient, toConsole)], ended: [] }, OLD_MS)
      }
      expect(await stores.sessions.find(session.id)).toMatchObject(counts(100, 100))
      await stores.sessions.beat('proxy-1', { open: [], ended: [over(session)] }, OLD_MS)
      expect(await stores.sessions.find(session.id)).toMatchObject(counts(100, 100))
    })

    test('tells the proxy to close a session that is over in the records', async () => {
      await using stores = await open(() => BORN)
      const [ended, revoked] = [await stores.sessions.add(newSession()), await stores.sessions.add(newSession())]
      await stores.sessions.end(ended.id, 'client_closed')
      await stores.sessions.wantEnd(revoked.id, 'revoked')
      await stores.sessions.end(revoked.id, 'revoked')
      const open_ = [named(ended), named(revoked), { id: 'never-heard-of', ...counts(0, 0) }]
      const { end } = await stores.sessions.beat('proxy-1', { open: open_, ended: [] }, OLD_MS)
      expect(new Map(end.map(({ id, reason }) => [id, reason]))).toEqual(
        new Map([
          [ended.id, 'ended'],
          [revoked.id, 'revoked'],
        ]),
      )
      expect((await stores.sessions.beat('proxy-2', { open: open_, ended: [] }, OLD_MS)).end).toEqual([])
    })

    test('names a session to close until its proxy has closed it', async () => {
      await using stores = await open(() => BORN)
      const [one, other] = [await stores.sessions.add(newSession()), await stores.sessions.add(newSession())]
      const beat = { open: [named(one), named(other)], ended: [] }
      expect(await stores.sessions.wantEnd(one.id, 'ended')).toBe(true)
      for (let i = 0; i < 2; i++) {
        const { end } = await stores.sessions.beat('proxy-1', beat, OLD_MS)
        expect(end).toEqual([{ id: one.id, reason: 'ended' }])
      }
      expect((await stores.sessions.beat('proxy-1', { open: [named(other)], ended: [over(one)] }, OLD_MS)).end).toEqual(
        [],
      )
      expect(await stores.sessions.wantEnd(one.id, 'ended')).toBe(false)
      expect(await stores.sessions.wantEnd('none', 'ended')).toBe(false)
    })

    test('names all sessions of a server to close, and no others', async () => {
      await using stores = await open(() => BORN)
      const all = [
        await stores.sessions.add(newSession()),
        await stores.sessions.add(newSession({ proxyId: 'proxy-2' })),
        await stores.sessions.add(newSession({ serverId: 'server-2' })),
      ]
      expect(await stores.sessions.wantServerEnd('server-1', 'revoked')).toBe(2)
      const wanted = await Promise.all(all.map(async ({ id }) => (await stores.sessions.find(id))?.endWanted))
      expect(wanted).toEqual(['revoked', 'revoked', null])
    })

    test('ends the sessions of a lost proxy once, and no others', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const lost = await stores.sessions.add(newSession())
      const kept = await stores.sessions.add(newSession({ proxyId: 'proxy-2' }))
      now = BORN + OLD_MS
      await stores.sessions.beat('proxy-2', { open: [named(kept)], ended: [] }, OLD_MS)
      expect(await stores.sessions.endLost(OLD_MS)).toEqual([])
      now += 1
      expect(await stores.sessions.endLost(OLD_MS)).toEqual([{ ...lost, endedAt: now, endReason: PROXY_LOST }])
      expect(await stores.sessions.endLost(OLD_MS)).toEqual([])
      expect(await stores.sessions.find(kept.id)).toMatchObject({ endedAt: null })
    })

    test('reopens the sessions of a lost proxy that reports again, except for those that ended or must end', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const stays = await stores.sessions.add(newSession())
      const ended = await stores.sessions.add(newSession())
      const revoked = await stores.sessions.add(newSession({ serverId: 'server-2' }))
      now += OLD_MS + 1
      expect(await stores.sessions.endLost(OLD_MS)).toHaveLength(3)
      expect(await stores.sessions.wantServerEnd('server-2', 'revoked')).toBe(0)
      const beat = { open: [named(stays, 1, 2), named(revoked)], ended: [over(ended)] }
      const outcome = await stores.sessions.beat('proxy-1', beat, OLD_MS)
      expect(new Set(idsOf(outcome.returned))).toEqual(new Set([stays.id, revoked.id]))
      expect(outcome.ended).toMatchObject([{ id: ended.id, endReason: 'client_closed', endedAt: BORN + 500 }])
      expect(outcome.end).toEqual([{ id: revoked.id, reason: 'revoked' }])
      expect(await stores.sessions.find(stays.id)).toMatchObject({ endedAt: null, endReason: null, ...counts(1, 2) })
    })

    test('ends a session as lost that its proxy no longer reports, unless it is new', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const session = await stores.sessions.add(newSession())
      now = BORN + OLD_MS
      expect((await stores.sessions.beat('proxy-1', nothing, OLD_MS)).ended).toEqual([])
      now += 1
      expect((await stores.sessions.beat('proxy-1', nothing, OLD_MS)).ended).toMatchObject([
        { id: session.id, endReason: PROXY_LOST },
      ])
    })

    test('deletes sessions some time after their end, and no open ones', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const open_ = await stores.sessions.add(newSession())
      const ended = await stores.sessions.add(newSession())
      await stores.sessions.end(ended.id, 'ended')
      now += 1_000
      expect(await stores.sessions.forget(1_000)).toBe(0)
      now += 1
      expect(await stores.sessions.forget(1_000)).toBe(1)
      expect(idsOf(await stores.sessions.list({ limit: 10 }))).toEqual([open_.id])
    })

    test('accepts concurrent first beats of a proxy, and concurrent reports of one end', async () => {
      await using stores = await open(() => BORN)
      const beats = await Promise.all(Array.from({ length: 8 }, () => stores.sessions.beat('new', nothing, OLD_MS)))
      expect(beats).toHaveLength(8)
      const session = await stores.sessions.add(newSession())
      const reported = { open: [], ended: [over(session)] }
      const outcomes = await Promise.all([1, 2, 3].map(() => stores.sessions.beat('proxy-1', reported, OLD_MS)))
      expect(outcomes.flatMap(({ ended }) => ended)).toHaveLength(1)
    })

    // Each session is on the disk before the next one: a slow disk takes its time for thousands of writes.
    test('accepts a thousand sessions in one beat', { timeout: 300_000 }, async () => {
      await using stores = await open(() => BORN)
      const sessions: Awaited<ReturnType<typeof stores.sessions.add>>[] = []
      // Not all at once: waiting for a connection has a deadline as well, and is not what is claimed here.
      while (sessions.length < 1000) {
        sessions.push(...(await Promise.all(Array.from({ length: 20 }, () => stores.sessions.add(newSession())))))
      }
      const open_ = sessions.map((session, i) => named(session, i + 1, 1))
      await stores.sessions.beat('proxy-1', { open: open_, ended: [] }, OLD_MS)
      expect(await stores.sessions.find(sessions[999]!.id)).toMatchObject(counts(1000, 1))
      const { ended } = await stores.sessions.beat('proxy-1', { open: [], ended: sessions.map((s) => over(s)) }, OLD_MS)
      expect(ended).toHaveLength(1000)
    })
  })
}
