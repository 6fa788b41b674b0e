/** The limits on tickets, and their expiry. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { SessionRecord } from '../../src/session/open-session.ts'
import type { Grant } from '../../src/spice/session/grant.ts'
import { Tickets } from '../../src/spice/session/tickets.ts'
import { INSTANCE } from '../fixture.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const grant = (tokenDigest: string, record?: SessionRecord): Grant => ({
  ...{ instance: INSTANCE, role: 'control', target: { host: 'compute-1', port: 5900 }, tokenDigest, record },
  ...{ client: '192.0.2.7', listener: '127.0.0.1:13002', endpoint: { host: 'console.example', tlsPort: 5901 } },
})

describe('tickets', () => {
  it('are limited in total and per token', () => {
    using tickets = new Tickets({ firstUseMs: 1_000, max: 3, maxPerToken: 2 })
    tickets.mint(grant('a'))
    tickets.mint(grant('a'))
    expect(() => tickets.mint(grant('a'))).toThrow('the token has 2')
    tickets.mint(grant('b'))
    expect(() => tickets.mint(grant('c'))).toThrow('3 SPICE tickets')
    expect(tickets.size).toBe(3)
  })

  it('no longer count after their first-use window', () => {
    using tickets = new Tickets({ firstUseMs: 1_000, max: 9, maxPerToken: 1 })
    for (let i = 0; i < 3; i += 1) {
      const text = tickets.mint(grant('a')).reveal()
      expect(tickets.find(text)?.mayOpen).toBe(true)
      vi.advanceTimersByTime(999)
      expect(() => tickets.mint(grant('a'))).toThrow('the token has')
      vi.advanceTimersByTime(1)
      expect(tickets.find(text)?.mayOpen).toBe(false)
    }
  })

  it('are removed after they expire, and report that no client connected', () => {
    const ended: string[] = []
    const record = { id: 'record-1', opened() {}, control() {}, ended: (reason: string) => void ended.push(reason) }
    using tickets = new Tickets({ firstUseMs: 1_000, max: 9, maxPerToken: 9 })
    tickets.mint(grant('a', record))
    vi.advanceTimersByTime(9_999)
    expect([tickets.size, ended]).toEqual([1, []])
    vi.advanceTimersByTime(1)
    expect([tickets.size, ended]).toEqual([0, ['client_lost']])
  })
})
