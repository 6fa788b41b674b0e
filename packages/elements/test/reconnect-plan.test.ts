import { closeReasons, type RefusalName, refusal, refusals } from '@oriel/contract'
import { describe, expect, it } from 'vitest'
import { localEnd } from '../src/console-end.ts'
import {
  firstPauseMs,
  firstResumeMs,
  longestOffPauseMs,
  longestPauseMs,
  maxAttempts,
  ReconnectPlan,
  slowPauseMs,
  stableAfterMs,
} from '../src/reconnect-plan.ts'

const middle = () => 0.5
const lost = { ...closeReasons.console_lost, clean: true }
const refused = localEnd('did_not_open')

describe('ReconnectPlan', () => {
  it('doubles the pause up to a limit, and stops after the last attempt', () => {
    const plan = new ReconnectPlan(middle)
    const pauses = Array.from({ length: maxAttempts + 1 }, () => plan.next({ end: lost, connectedMs: 0 }))
    expect(pauses.slice(0, 5)).toEqual([1_000, 2_000, 4_000, 8_000, longestPauseMs])
    expect(pauses.at(-2)).toBe(longestPauseMs)
    expect(pauses.at(-1)).toBeUndefined()
  })

  it('does not reset the pauses after a short connection', () => {
    const plan = new ReconnectPlan(middle)
    const pauses = Array.from({ length: maxAttempts + 1 }, () => plan.next({ end: lost, connectedMs: 200 }))
    expect(pauses.at(-1)).toBeUndefined()
  })

  it('resets the pauses after a stable connection', () => {
    const plan = new ReconnectPlan(middle)
    for (let i = 0; i < 4; i += 1) plan.next({ end: lost, connectedMs: 0 })
    expect(plan.next({ end: lost, connectedMs: stableAfterMs })).toBe(firstPauseMs)
    expect(plan.attempts).toBe(1)
  })

  it('begins anew when the network is back', () => {
    const plan = new ReconnectPlan(middle)
    for (let i = 0; i < maxAttempts; i += 1) plan.next({ end: lost, connectedMs: 0, canResume: true })
    expect(plan.next({ end: refused, connectedMs: 1, canResume: true })).toBe(slowPauseMs)
    plan.restart()
    expect(plan.next({ end: refused, connectedMs: 0, canResume: true })).toBe(firstResumeMs / 2)
  })

  it('retries at once after the machine has moved, and with pauses if that fails', () => {
    const plan = new ReconnectPlan(middle)
    expect(plan.next({ end: { ...closeReasons.moved, clean: true }, connectedMs: 60_000 })).toBe(0)
    expect(plan.next({ end: refused, connectedMs: 0 })).toBe(2_000)
  })

  it('waits for a machine that is off for as long as it takes, and then begins anew', () => {
    const plan = new ReconnectPlan(middle)
    const off = { ...closeReasons.switched_off, clean: true }
    const still = { ...refusal('switched_off'), code: 4503, refusal: 'switched_off', clean: true } as const
    for (let i = 0; i < maxAttempts - 1; i += 1) plan.next({ end: lost, connectedMs: 0 })
    const pauses = [off, ...Array.from({ length: 3 * maxAttempts }, () => still)].map((end) =>
      plan.next({ end, connectedMs: 0 }),
    )
    expect(pauses.slice(0, 4)).toEqual([1_000, 2_000, 4_000, longestOffPauseMs])
    expect([...new Set(pauses.slice(3))]).toEqual([longestOffPauseMs])
    expect(plan.waitsForMachine).toBe(true)
    expect(plan.next({ end: lost, connectedMs: 0 })).toBe(firstPauseMs)
    expect(plan.waitsForMachine).toBe(false)
    expect(plan.next({ end: off, connectedMs: 0 })).toBe(firstPauseMs)
  })

  it('spreads the pauses by up to a quarter', () => {
    expect(new ReconnectPlan(() => 0).next({ end: lost, connectedMs: 1 })).toBe(750)
    expect(new ReconnectPlan(() => 1).next({ end: lost, connectedMs: 1 })).toBe(1_250)
  })

  it.each([
    'client_closed',
    'idle',
    'time_limit',
    'token_expired',
    'revoked',
    'ended',
    'wrong_instance',
    'taken_over',
  ] as const)('does not retry after %s', (name) => {
    const plan = new ReconnectPlan(middle)
    expect(plan.next({ end: { ...closeReasons[name], clean: true }, connectedMs: 60_000 })).toBeUndefined()
  })

  it('with a ticket, retries at once, then with growing pauses, then slowly for as long as the ticket is valid', () => {
    const plan = new ReconnectPlan(middle)
    const next = (canResume: boolean) => plan.next({ end: lost, connectedMs: 0, canResume })
    const pauses = Array.from({ length: maxAttempts + 3 }, () => next(true))
    expect(pauses.slice(0, 3)).toEqual([firstResumeMs / 2, 2_000, 4_000])
    expect(pauses.slice(-4)).toEqual([longestPauseMs, slowPauseMs, slowPauseMs, slowPauseMs])
    expect(next(false)).toBeUndefined()
  })

  it('with a ticket, still waits for as long as a restarting proxy asks for', () => {
    const draining = { ...closeReasons.draining, clean: true, retryAfterSeconds: 2 }
    expect(new ReconnectPlan(middle).next({ end: draining, connectedMs: 60_000, canResume: true })).toBe(2_000)
  })

  it('with a ticket, does not retry after an end that the user or an operator decided', () => {
    const end = { ...closeReasons.ended, clean: true }
    expect(new ReconnectPlan(middle).next({ end, connectedMs: 60_000, canResume: true })).toBeUndefined()
  })

  it('does not retry if the first opening fails', () => {
    expect(new ReconnectPlan(middle).next({ end: refused, connectedMs: 0 })).toBeUndefined()
  })

  it('retries if opening fails after the console was connected, as while the proxy restarts', () => {
    const plan = new ReconnectPlan(middle)
    plan.next({ end: lost, connectedMs: 60_000 })
    expect(plan.next({ end: refused, connectedMs: 0 })).toBe(2_000)
  })

  describe('after a refusal', () => {
    const names = Object.keys(refusals) as RefusalName[]
    const endOf = (name: RefusalName) => ({
      code: 4000 + refusals[name].status,
      clean: true,
      refusal: name,
      ...refusal(name),
    })
    const again = [
      ...['switched_off', 'too_many', 'too_many_attempts', 'console_unreachable'],
      ...['authority_unavailable', 'draining', 'console_timeout'],
    ]

    it.each(names.filter((name) => again.includes(name)))('retries after %s, even at the first opening', (name) => {
      expect(new ReconnectPlan(middle).next({ end: endOf(name), connectedMs: 0 })).toBeGreaterThanOrEqual(firstPauseMs)
    })

    it.each(names.filter((name) => !again.includes(name)))(
      'does not retry after %s, even if the console was connected before',
      (name) => {
        const plan = new ReconnectPlan(middle)
        plan.next({ end: lost, connectedMs: 60_000 })
        expect(plan.next({ end: endOf(name), connectedMs: 0 })).toBeUndefined()
      },
    )

    it('waits at least as long as the proxy requests', () => {
      const end = { ...endOf('too_many_attempts'), retryAfterSeconds: 30 }
      expect(new ReconnectPlan(middle).next({ end, connectedMs: 0 })).toBe(30_000)
      const tooLong = { ...end, retryAfterSeconds: 86_400 }
      expect(new ReconnectPlan(middle).next({ end: tooLong, connectedMs: 0 })).toBe(120_000)
    })

    it('stops after as many attempts as for a lost connection', () => {
      const plan = new ReconnectPlan(middle)
      const end = endOf('console_unreachable')
      for (let i = 0; i < maxAttempts; i += 1) expect(plan.next({ end, connectedMs: 0 })).toBeDefined()
      expect(plan.next({ end, connectedMs: 0 })).toBeUndefined()
    })
  })
})
