/** What every store of serial ports must do. Runs with the suite of session stores, whose database it shares. */
import { describe, expect, test } from 'vitest'
import { ASK_MS } from '../../src/serial-ports/store.ts'
import { newSession, type OpenStores } from '../sessions/store.suite.ts'

const BORN = Date.UTC(2026, 10, 22)
const SILENT_MS = 15_000
const nothing = { open: [], ended: [] }

export function serialPortStoreSuite(name: string, open: OpenStores): void {
  describe(`store of serial ports: ${name}`, () => {
    test('returns the standing proxies that have reported lately, until they leave', async () => {
      let now = BORN
      await using stores = await open(() => now)
      await stores.serialPorts.stand({ proxyId: 'b', group: 'g' })
      await stores.serialPorts.stand({ proxyId: 'a', group: 'a' })
      const [a, b] = [
        { proxyId: 'a', group: 'a' },
        { proxyId: 'b', group: 'g' },
      ]
      expect(await stores.serialPorts.standing(SILENT_MS)).toEqual([a, b])
      now += SILENT_MS + 1
      expect(await stores.serialPorts.standing(SILENT_MS)).toEqual([])
      await stores.sessions.beat('b', nothing, SILENT_MS)
      expect(await stores.serialPorts.standing(SILENT_MS)).toEqual([b])
      await stores.serialPorts.leave('b')
      await stores.serialPorts.stand(a)
      expect(await stores.serialPorts.standing(SILENT_MS)).toEqual([a])
    })

    test('keeps the newest group of a proxy, also of concurrent calls', async () => {
      await using stores = await open(() => BORN)
      const stand = (group: string) => stores.serialPorts.stand({ proxyId: 'a', group })
      await Promise.all([1, 2, 3].map(() => stand('g')))
      await stand('h')
      expect(await stores.serialPorts.standing(SILENT_MS)).toEqual([{ proxyId: 'a', group: 'h' }])
    })

    test('returns the open sessions of serial consoles, oldest first, while their proxies report', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const serial = { protocol: 'serial', type: 'serial' } as const
      const add = (serverId: string, proxyId: string, kind: Partial<ReturnType<typeof newSession>> = serial) =>
        stores.sessions.add(newSession({ serverId, proxyId, ...kind }))
      await add('server-2', 'a')
      await add('server-1', 'a', {})
      const over = await add('server-3', 'a')
      await stores.sessions.end(over.id, 'client_closed')
      now += 1
      await add('server-1', 'b')
      const [first, second] = [
        { serverId: 'server-2', proxyId: 'a' },
        { serverId: 'server-1', proxyId: 'b' },
      ]
      expect(await stores.serialPorts.viewed(SILENT_MS)).toEqual([first, second])
      now += SILENT_MS
      expect(await stores.serialPorts.viewed(SILENT_MS)).toEqual([second])
    })

    test('has one question for the output of a port, and its answer once', async () => {
      await using stores = await open(() => BORN)
      const { serialPorts } = stores
      const [ask, same] = await Promise.all([serialPorts.askLog('server-1'), serialPorts.askLog('server-1')])
      expect(same).toEqual(ask)
      expect(await serialPorts.askedLogs()).toEqual([ask])
      expect([await serialPorts.takeLog(ask), await serialPorts.isAsked(ask)]).toEqual([undefined, true])
      expect(await serialPorts.answerLog({ ...ask, askId: 'other' }, 'x')).toBe(false)
      // The most that a proxy reports.
      const log = 'QUJD'.repeat(27_325)
      expect(await serialPorts.answerLog(ask, log)).toBe(true)
      expect(await serialPorts.answerLog(ask, 'x')).toBe(false)
      expect(await serialPorts.askedLogs()).toEqual([])
      expect(await serialPorts.takeLog(ask)).toBe(log)
      expect([await serialPorts.takeLog(ask), await serialPorts.isAsked(ask)]).toEqual([undefined, false])
      expect((await serialPorts.askLog('server-1')).askId).not.toBe(ask.askId)
    })

    test('answers a later question anew, and forgets old ones', async () => {
      let now = BORN
      await using stores = await open(() => now)
      const { serialPorts } = stores
      const ask = await serialPorts.askLog('server-1')
      await serialPorts.answerLog(ask, '')
      const next = await serialPorts.askLog('server-1')
      expect([next.askId === ask.askId, await serialPorts.takeLog(next)]).toEqual([false, undefined])
      now += ASK_MS + 1
      expect(await serialPorts.askedLogs()).toEqual([])
      const other = await serialPorts.askLog('server-2')
      expect([await serialPorts.isAsked(next), await serialPorts.isAsked(other)]).toEqual([false, true])
    })

    test('forgets the standing proxies that have not reported for long', async () => {
      let now = BORN
      await using stores = await open(() => now)
      await stores.serialPorts.stand({ proxyId: 'a', group: 'a' })
      now += 1_001
      await stores.sessions.forget(1_000)
      await stores.sessions.beat('a', nothing, SILENT_MS)
      expect(await stores.serialPorts.standing(SILENT_MS)).toEqual([])
    })
  })
}
