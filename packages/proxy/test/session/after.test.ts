import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { after } from '../../src/session/after.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const DAY_MS = 86_400_000

describe('a timer', () => {
  it.each([1, 2 ** 31 - 1, 2 ** 31, 60 * DAY_MS])('fires once after %i ms and not earlier', (ms) => {
    const act = vi.fn()
    using _timer = after(ms, act)
    vi.advanceTimersByTime(Math.max(ms - 1, 0))
    expect(act).toHaveBeenCalledTimes(0)
    vi.advanceTimersByTime(1)
    expect(act).toHaveBeenCalledTimes(1)
    vi.advanceTimersByTime(60 * DAY_MS)
    expect(act).toHaveBeenCalledTimes(1)
  })

  it('fires at once for a time in the past', () => {
    const act = vi.fn()
    using _timer = after(-1, act)
    vi.advanceTimersByTime(1)
    expect(act).toHaveBeenCalledTimes(1)
  })

  it('never fires after disposal, even when it needs several timeouts', () => {
    const act = vi.fn()
    const timer = after(60 * DAY_MS, act)
    vi.advanceTimersByTime(30 * DAY_MS)
    timer[Symbol.dispose]()
    vi.advanceTimersByTime(60 * DAY_MS)
    expect(act).not.toHaveBeenCalled()
  })
})
