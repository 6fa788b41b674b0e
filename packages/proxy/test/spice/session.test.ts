/** The timeouts of a session, and the default bounds. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { remoteSlots } from '../../src/fleet/worker.ts'
import { spiceBounds } from '../../src/spice/frontend.ts'
import { SpiceSession } from '../../src/spice/session/session.ts'
import { Tickets } from '../../src/spice/session/tickets.ts'
import { capture, INSTANCE } from '../fixture.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const MINUTE_MS = 60_000
const target = { host: 'compute-2', port: 5901 }

/** An open session and its ticket. */
function openSession({ graceMs = 30_000 } = {}) {
  const tickets = new Tickets({ firstUseMs: 1_000, max: 9, maxPerToken: 9 })
  const parties = {
    ...{ instance: INSTANCE, tokenDigest: 'd'.repeat(64), client: '192.0.2.7', listener: '127.0.0.1:13002' },
    role: 'control' as const,
  }
  const secret = tickets.mint({ ...parties, target: { host: 'compute-1', port: 5900 }, endpoint: { host: 'console' } })
  const ticket = tickets.find(secret.reveal())!
  const settings = { graceMs, maxChannels: 64 }
  const session = new SpiceSession({ type: 'spice-direct', ...parties }, ticket, true, capture().logger, settings)
  ticket.session = session
  const main = {
    name: 'main',
    channelId: 0,
    target: ticket.target,
    blockedSinceMs: undefined,
    bufferedBytes: 0,
    destroy: () => {},
  } as const
  session.open(main)
  return { session, ticket, [Symbol.dispose]: () => tickets[Symbol.dispose]() }
}

describe('a migration', () => {
  it('counts as running until a minute after its last message', () => {
    using opened = openSession()
    const { session } = opened
    expect(session.migrating).toBe(false)
    session.noteMigration()
    vi.advanceTimersByTime(MINUTE_MS - 1)
    expect(session.migrating).toBe(true)
    session.noteMigration()
    vi.advanceTimersByTime(MINUTE_MS - 1)
    expect(session.migrating).toBe(true)
    vi.advanceTimersByTime(1)
    expect(session.migrating).toBe(false)
  })

  it('gives the viewer a minute to follow SWITCH_HOST', () => {
    using opened = openSession({ graceMs: 0 })
    const { session, ticket } = opened
    session.noteMigration()
    session.switchHost(target)
    session.end({ reason: 'console_closed' })
    vi.advanceTimersByTime(MINUTE_MS - 1)
    expect([ticket.mayOpen, ticket.target]).toEqual([true, target])
    vi.advanceTimersByTime(1)
    expect(ticket.mayOpen).toBe(false)
  })
})

describe('a session that ended', () => {
  it.each([
    ['client_lost', true],
    ['client_closed', true],
    ['console_lost', true],
    ['ended', false],
    ['taken_over', false],
    ['time_limit', false],
    ['protocol_error', false],
  ] as const)('with the reason %s can be opened again within the grace period: %s', (reason, mayReturn) => {
    using opened = openSession()
    const { session, ticket } = opened
    session.end({ reason })
    expect(ticket.mayOpen).toBe(mayReturn)
    vi.advanceTimersByTime(29_999)
    expect(ticket.mayOpen).toBe(mayReturn)
    vi.advanceTimersByTime(1)
    expect(ticket.mayOpen).toBe(false)
  })
})

it('a worker sends the primary the session whose slot is taken over', async () => {
  const asked: unknown[] = []
  const askFor = async (_late: unknown, name: string, entrant: unknown) => {
    asked.push(name, entrant)
    return { slot: 1 }
  }
  const slots = remoteSlots({ ask: async () => undefined, askFor } as unknown as Parameters<typeof remoteSlots>[0])
  const replaces = { tokenDigest: 'a', instance: INSTANCE, client: '192.0.2.7' }
  const entrant = { tokenDigest: 'b', instance: INSTANCE, client: '192.0.2.8', type: 'spice-direct' as const, replaces }
  await slots.enter(entrant)
  expect(asked).toEqual(['enter', entrant])
})

it('the default bounds are those of the specification of native SPICE', () => {
  expect(spiceBounds).toEqual({
    handshakeTimeoutMs: 10_000,
    legTimeoutMs: 20_000,
    probeTimeoutMs: 10_000,
    wrongTicketDelayMs: 1_000,
    flushTimeoutMs: 2_000,
    maxWaiting: 1024,
    maxWaitingPerClient: 32,
    displacedAfterMs: 2_000,
    maxChannels: 64,
    maxTickets: 20_000,
    maxTicketsPerToken: 32,
  })
})
