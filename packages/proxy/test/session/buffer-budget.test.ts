import { silentLogger } from '@oriel/runtime'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { MAX_READ_BYTES, PROVING_BYTES, ReadBuffers } from '../../src/hypervisor/read-buffers.ts'
import { BufferBudget, type Buffering, MAX_LENT_BYTES, MIN_LENT_BYTES } from '../../src/session/buffer-budget.ts'
import { countBuffered } from '../../src/spice/session/buffered.ts'
import { type Channel, SpiceSession } from '../../src/spice/session/session.ts'
import type { Ticket } from '../../src/spice/session/tickets.ts'

const MIB = 1024 * 1024
const GRACE_MS = 1_000

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A session in a budget whose client reads nothing. */
function stalled(budget: BufferBudget, bytes: number, dropped: string[], name: string): Buffering {
  const session = {
    bufferedBytes: bytes,
    stalledSinceMs: performance.now(),
    drop: () => {
      dropped.push(name)
      budget.bytes -= bytes
    },
  }
  budget.bytes += bytes
  budget.blocked(session)
  return session
}

describe('the budget for slow clients', () => {
  it('allows each session a large read while half of it is free, and less the fuller it is', () => {
    const budget = new BufferBudget(100 * MIB)
    const limits = [0, 50, 75, 95, 100, 150].map((used) => {
      budget.bytes = used * MIB
      return budget.lentLimit
    })
    expect(limits).toEqual([MAX_LENT_BYTES, MAX_LENT_BYTES, MAX_LENT_BYTES / 2, 52_428, MIN_LENT_BYTES, MIN_LENT_BYTES])
  })

  it('drops the sessions that have read nothing for the longest until the sum is below the limit', () => {
    const budget = new BufferBudget(3 * MIB, GRACE_MS)
    const dropped: string[] = []
    for (const name of ['a', 'b', 'c', 'd', 'e']) stalled(budget, MIB, dropped, name)
    expect(dropped).toEqual([])
    vi.advanceTimersByTime(GRACE_MS + 1)
    expect(dropped).toEqual(['a', 'b'])
    expect(budget.bytes).toBe(3 * MIB)
    vi.advanceTimersByTime(10 * GRACE_MS)
    expect(dropped).toHaveLength(2)
  })

  it('keeps clients that have read something since, or keep up again', () => {
    const budget = new BufferBudget(MIB, GRACE_MS)
    const dropped: string[] = []
    const slow = stalled(budget, MIB, dropped, 'slow')
    const quick = stalled(budget, MIB, dropped, 'quick')
    stalled(budget, MIB, dropped, 'stalled')
    budget.unblocked(quick)
    budget.bytes -= MIB
    Object.assign(slow, { stalledSinceMs: performance.now() + GRACE_MS / 2 })
    budget.blocked(slow)
    vi.advanceTimersByTime(GRACE_MS + 1)
    expect(dropped).toEqual(['stalled'])
  })

  it('keeps a client that has just paused, even when it is full', () => {
    const budget = new BufferBudget(MIB, GRACE_MS)
    const dropped: string[] = []
    const session = stalled(budget, 4 * MIB, dropped, 'busy')
    for (let i = 0; i < 20; i += 1) {
      vi.advanceTimersByTime(GRACE_MS / 4)
      Object.assign(session, { stalledSinceMs: performance.now() })
      budget.blocked(session)
    }
    expect(dropped).toEqual([])
  })
})

describe('the buffered bytes of a native session', () => {
  const settings = { graceMs: 0, maxChannels: 8 }
  const ticket = { grant: {}, target: {}, sessionEnded: () => {} } as unknown as Ticket
  const facts = {
    type: 'spice-direct' as const,
    role: 'control' as const,
    listener: 'l',
    tokenDigest: 'd',
    instance: 'i',
    client: 'c',
  }

  function opened(budget: BufferBudget, channel: Partial<Channel>) {
    const session = new SpiceSession(facts, ticket, true, silentLogger(), settings)
    session.add({ name: 'display', channelId: 0, destroy: () => {}, ...channel } as Channel)
    countBuffered(session, budget)
    return session
  }

  it('are counted only while it is open', async () => {
    const budget = new BufferBudget(100 * MIB)
    const session = opened(budget, { bufferedBytes: MIB, blockedSinceMs: undefined })
    vi.advanceTimersByTime(1_000)
    expect([session.bufferedBytes, budget.bytes]).toEqual([MIB, MIB])
    session.end({ reason: 'client_closed' })
    await session.ended
    expect(budget.bytes).toBe(0)
  })

  it('are freed by ending the session when the budget is full and a channel has stalled', async () => {
    const budget = new BufferBudget(MIB, GRACE_MS)
    const stalledOne = opened(budget, { bufferedBytes: MIB, blockedSinceMs: performance.now() })
    opened(budget, { bufferedBytes: MIB / 2, blockedSinceMs: undefined })
    vi.advanceTimersByTime(3 * GRACE_MS)
    expect(await stalledOne.ended).toMatchObject({ reason: 'client_stalled' })
    expect(budget.bytes).toBe(MIB / 2)
  })
})

describe('read buffers under a limit', () => {
  const grown = (limit: number) => {
    const buffers = new ReadBuffers(() => limit)
    for (let returned = 0; returned < 2 * PROVING_BYTES; ) {
      const buffer = buffers.next()
      returned += buffer.length
      buffers.giveBack(buffers.lend(buffer, buffer.length))
    }
    return buffers.next().length
  }

  it('never grow beyond the limit', () => {
    expect([grown(MAX_READ_BYTES), grown(40_000), grown(8_192)]).toEqual([MAX_READ_BYTES, 40_000, 8_192])
  })
})
