import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { deadline } from '../src/deadline.ts'

describe('a deadline', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('ends the wait when the time is up', () => {
    using limit = deadline(100, new AbortController().signal)
    vi.advanceTimersByTime(99)
    expect(limit).toMatchObject({ passed: false, signal: { aborted: false } })
    vi.advanceTimersByTime(1)
    expect(limit).toMatchObject({ passed: true, signal: { aborted: true, reason: { name: 'TimeoutError' } } })
  })

  it('ends the wait with the reason of the signal that aborts first, also one that was aborted before', () => {
    const [first, second] = [new AbortController(), new AbortController()]
    using limit = deadline(100, first.signal, second.signal)
    second.abort(new Error('enough'))
    first.abort('later')
    vi.advanceTimersByTime(100)
    expect(limit).toMatchObject({ passed: false, signal: { aborted: true, reason: { message: 'enough' } } })
    using gone = deadline(100, second.signal)
    expect(gone.signal.reason).toMatchObject({ message: 'enough' })
  })

  it('removes its timer and listeners when it is disposed of', () => {
    const caller = new AbortController()
    const limit = deadline(100, caller.signal)
    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(1)
    limit[Symbol.dispose]()
    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(0)
    expect(vi.getTimerCount()).toBe(0)
    caller.abort()
    expect(limit.signal.aborted).toBe(false)
  })
})
