/** What every store of control must do. Each database's test runs this whole suite. */
import { describe, expect, test } from 'vitest'
import type { ConsoleControl, NewSession, SessionRecord, Stores } from '../../src/index.ts'
import { newSession, type OpenStores } from './store.suite.ts'

const BORN = Date.UTC(2026, 10, 22)
const OLD_MS = 15_000
const CONSOLE = { serverId: 'server-1', type: 'novnc' } as const
const counts = { bytesToClient: 0, bytesToConsole: 0 }

const add = (stores: Stores, proxyId: string, changes: Partial<NewSession> = {}) =>
  stores.sessions.add(newSession({ proxyId, ...changes }))
const show = (stores: Stores, proxyId: string) => stores.control.show(proxyId, CONSOLE)
const take = (stores: Stores, session: SessionRecord, from: SessionRecord | null) =>
  stores.control.move({ session, from: from?.id ?? null, to: session.id })
const apply = async (stores: Stores, proxyId: string) => stores.control.applied(proxyId, [await show(stores, proxyId)])
const stateOf = ({ heldBy, ready }: ConsoleControl) => [heldBy, ready]

export function controlStoreSuite(name: string, open: OpenStores): void {
  describe(`store of control: ${name}`, () => {
    test('lists a console that two proxies have open for each, with the sessions of the other', async () => {
      await using stores = await open(() => BORN)
      const [one, two] = [await add(stores, 'proxy-1', { label: 'Zoë' }), await add(stores, 'proxy-2')]
      await add(stores, 'proxy-1', { serverId: 'server-2' })
      await add(stores, 'proxy-2', { type: 'serial', protocol: 'serial' })
      const untouched = { ...CONSOLE, revision: 0, heldBy: null, ready: true, requestedBy: [] }
      expect(await stores.control.shared('proxy-1', OLD_MS)).toEqual([{ ...untouched, elsewhere: [two] }])
      expect(await stores.control.shared('proxy-2', OLD_MS)).toEqual([{ ...untouched, elsewhere: [one] }])
      expect(await stores.control.sharesAny('proxy-2', OLD_MS)).toBe(true)
      expect(await stores.control.shared('proxy-3', OLD_MS)).toEqual([])
    })

    test('lists no console that one proxy, or one group of processes, has open alone', async () => {
      await using stores = await open(() => BORN)
      for (const id of ['proxy-1', 'proxy-2']) await stores.ports.group(id, 'group-1')
      for (const id of ['proxy-1', 'proxy-2', 'proxy-1']) await add(stores, id)
      await add(stores, 'proxy-3', { serverId: 'server-2' })
      for (const id of ['proxy-1', 'proxy-2', 'proxy-3']) {
        expect(await stores.control.shared(id, OLD_MS)).toEqual([])
        expect(await stores.control.sharesAny(id, OLD_MS)).toBe(false)
      }
    })

    test('lists no console of a type whose input proxies cannot withhold', async () => {
      await using stores = await open(() => BORN)
      for (const id of ['proxy-1', 'proxy-2']) await add(stores, id, { protocol: 'mks', type: 'webmks' })
      expect(await stores.control.shared('proxy-1', OLD_MS)).toEqual([])
    })

    test('lists a console no more once the other proxy is silent, or its session has ended', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const [one, two] = [await add(stores, 'proxy-1'), await add(stores, 'proxy-2')]
      now += OLD_MS + 1
      await stores.sessions.beat('proxy-1', { open: [{ id: one.id, ...counts }], ended: [] }, OLD_MS)
      expect(await stores.control.shared('proxy-1', OLD_MS)).toEqual([])
      await stores.sessions.beat('proxy-2', { open: [{ id: two.id, ...counts }], ended: [] }, OLD_MS)
      expect(await stores.control.shared('proxy-1', OLD_MS)).toHaveLength(1)
      await stores.sessions.end(two.id, 'client_closed')
      expect(await stores.control.shared('proxy-1', OLD_MS)).toEqual([])
    })

    test('gives control that all have to a session at once', async () => {
      await using stores = await open(() => BORN)
      const [one, two] = [await add(stores, 'proxy-1'), await add(stores, 'proxy-2')]
      await take(stores, two, null)
      expect(await show(stores, 'proxy-1')).toEqual({
        ...{ ...CONSOLE, revision: 1, elsewhere: [two], heldBy: two.id, ready: true, requestedBy: [] },
      })
      await stores.control.move({ session: two, from: two.id, to: null })
      expect(stateOf(await show(stores, 'proxy-2'))).toEqual([null, true])
      expect(one.id).not.toBe(two.id)
    })

    test('gives control of a session at another proxy once that proxy withholds its input', async () => {
      await using stores = await open(() => BORN)
      const [one, two] = [await add(stores, 'proxy-1'), await add(stores, 'proxy-2')]
      await take(stores, one, null)
      const before = await show(stores, 'proxy-1')
      await take(stores, two, one)
      expect(stateOf(await show(stores, 'proxy-2'))).toEqual([two.id, false])
      expect(await apply(stores, 'proxy-2')).toEqual([])
      expect(await stores.control.applied('proxy-1', [before])).toEqual([])
      expect(stateOf(await show(stores, 'proxy-2'))).toEqual([two.id, false])
      expect(await apply(stores, 'proxy-1')).toEqual([CONSOLE.serverId])
      expect(await apply(stores, 'proxy-1')).toEqual([])
      expect(stateOf(await show(stores, 'proxy-2'))).toEqual([two.id, true])
    })

    test('waits for the proxy that first lost control while others take it over from each other', async () => {
      await using stores = await open(() => BORN)
      const [one, two, three] = [
        await add(stores, 'proxy-1'),
        await add(stores, 'proxy-2'),
        await add(stores, 'proxy-3'),
      ]
      await take(stores, one, null)
      await take(stores, two, one)
      await take(stores, three, two)
      expect(await apply(stores, 'proxy-2')).toEqual([])
      expect(stateOf(await show(stores, 'proxy-3'))).toEqual([three.id, false])
      await apply(stores, 'proxy-1')
      expect(stateOf(await show(stores, 'proxy-3'))).toEqual([three.id, true])
    })

    test('waits for the proxy of a session that got control while another session takes it', async () => {
      await using stores = await open(() => BORN)
      const [one, two, three] = [
        await add(stores, 'proxy-1'),
        await add(stores, 'proxy-2'),
        await add(stores, 'proxy-3'),
      ]
      await take(stores, one, null)
      await take(stores, two, one)
      const known = await show(stores, 'proxy-1')
      const taking = take(stores, three, two)
      const [served] = await Promise.all([stores.control.applied('proxy-1', [known]), taking])
      await apply(stores, 'proxy-1')
      const isTwoReady = served.length > 0
      expect(stateOf(await show(stores, 'proxy-3'))).toEqual([three.id, !isTwoReady])
      await apply(stores, 'proxy-2')
      expect(stateOf(await show(stores, 'proxy-3'))).toEqual([three.id, true])
    })

    test('lets no session give or release control that a session at another proxy has', async () => {
      await using stores = await open(() => BORN)
      const [holder, watcher, other] = [
        await add(stores, 'proxy-1'),
        await add(stores, 'proxy-2', { role: 'watch' }),
        await add(stores, 'proxy-2', { role: 'watch' }),
      ]
      await take(stores, holder, null)
      for (const to of [other.id, null]) await stores.control.move({ session: watcher, from: holder.id, to })
      expect(stateOf(await show(stores, 'proxy-2'))).toEqual([holder.id, true])
    })

    test('leaves control with an inviting session at another proxy when an invited one takes it', async () => {
      await using stores = await open(() => BORN)
      const [holder, guest] = [await add(stores, 'proxy-1'), await add(stores, 'proxy-2', { invitationId: 'one' })]
      await take(stores, holder, null)
      await take(stores, guest, holder)
      expect(stateOf(await show(stores, 'proxy-2'))).toEqual([holder.id, true])
      const watcher = await add(stores, 'proxy-1', { role: 'watch' })
      await stores.control.move({ session: holder, from: holder.id, to: watcher.id })
      await take(stores, guest, watcher)
      expect(stateOf(await show(stores, 'proxy-2'))).toEqual([guest.id, false])
    })

    test('waits no longer for a session that has ended, nor counts it as the one with control', async () => {
      await using stores = await open(() => BORN)
      const [one, two] = [await add(stores, 'proxy-1'), await add(stores, 'proxy-2')]
      await take(stores, one, null)
      await take(stores, two, one)
      await stores.sessions.end(one.id, 'client_closed')
      expect(stateOf(await show(stores, 'proxy-2'))).toEqual([two.id, true])
      await stores.sessions.end(two.id, 'client_closed')
      expect(stateOf(await show(stores, 'proxy-1'))).toEqual([null, true])
    })

    test('releases control of a session whose proxy is lost', async () => {
      let now = BORN
      await using stores = await open(() => now)
      await take(stores, await add(stores, 'proxy-1'), null)
      const two = await add(stores, 'proxy-2')
      now += OLD_MS + 1
      await stores.sessions.beat('proxy-2', { open: [{ id: two.id, ...counts }], ended: [] }, OLD_MS)
      await stores.sessions.endLost(OLD_MS)
      expect(stateOf(await show(stores, 'proxy-2'))).toEqual([null, true])
      await take(stores, two, null)
      expect(stateOf(await show(stores, 'proxy-2'))).toEqual([two.id, true])
    })

    test('leaves control with a session at another proxy that the caller does not know of', async () => {
      await using stores = await open(() => BORN)
      const [one, two] = [await add(stores, 'proxy-1'), await add(stores, 'proxy-2')]
      await take(stores, one, null)
      await take(stores, two, null)
      expect(stateOf(await show(stores, 'proxy-2'))).toEqual([one.id, true])
    })

    test('leaves it to a proxy which of its own sessions has control', async () => {
      await using stores = await open(() => BORN)
      for (const id of ['proxy-1', 'proxy-2']) await stores.ports.group(id, 'group-1')
      const [one, two] = [await add(stores, 'proxy-1'), await add(stores, 'proxy-2')]
      await take(stores, one, null)
      await take(stores, two, null)
      expect(stateOf(await show(stores, 'proxy-2'))).toEqual([two.id, true])
    })

    test('gives control to one of several sessions that take it at the same time', async () => {
      await using stores = await open(() => BORN)
      const sessions = await Promise.all(['proxy-1', 'proxy-2', 'proxy-3'].map((id) => add(stores, id)))
      await Promise.all(sessions.map((session) => take(stores, session, null)))
      const [held, revision] = await show(stores, 'proxy-1').then((shown) => [shown.heldBy, shown.revision])
      expect(sessions.map(({ id }) => id)).toContain(held)
      expect(revision).toBe(1)
    })

    test('gives control to no session that has ended, or is of another console', async () => {
      await using stores = await open(() => BORN)
      const one = await add(stores, 'proxy-1')
      const over = await add(stores, 'proxy-2')
      await stores.sessions.end(over.id, 'client_closed')
      const other = await add(stores, 'proxy-2', { serverId: 'server-2' })
      for (const { id } of [over, other]) await stores.control.move({ session: one, from: null, to: id })
      expect(stateOf(await show(stores, 'proxy-1'))).toEqual([null, true])
    })

    test('lists requests for control, the earliest first, until they are withdrawn or granted', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const [one, two, three] = [
        await add(stores, 'proxy-1'),
        await add(stores, 'proxy-2'),
        await add(stores, 'proxy-3', { role: 'watch' }),
      ]
      await take(stores, one, null)
      const requests = async () => (await show(stores, 'proxy-1')).requestedBy
      await stores.control.request(three, true)
      now += 1
      await Promise.all([stores.control.request(two, true), stores.control.request(two, true)])
      expect(await requests()).toEqual([three.id, two.id])
      await stores.control.request(two, false)
      expect(await requests()).toEqual([three.id])
      await stores.control.request(two, true)
      await stores.control.move({ session: one, from: one.id, to: three.id })
      expect(await requests()).toEqual([two.id])
      await stores.control.move({ session: three, from: three.id, to: null })
      expect(await requests()).toEqual([])
      await stores.control.request(three, true)
      await stores.sessions.end(three.id, 'client_closed')
      expect(await requests()).toEqual([])
    })

    test('forgets control and requests with the sessions of the console', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const one = await add(stores, 'proxy-1')
      await take(stores, one, null)
      await stores.control.request(one, true)
      await stores.sessions.end(one.id, 'client_closed')
      now += 1
      await stores.sessions.forget(0)
      expect((await show(stores, 'proxy-1')).revision).toBe(0)
    })
  })
}
