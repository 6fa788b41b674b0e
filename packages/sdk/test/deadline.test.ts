import { getEventListeners } from 'node:events'
import { expect, it } from 'vitest'
import { type Deadline, withDeadline, within } from '../src/deadline.ts'

const HOUR_MS = 3_600_000

// Browsers run the work's own abort handling first, and its error would hide why it was aborted.
it('reports why the wait ended, even if the work failed first', async () => {
  const controller = new AbortController()
  const reason = new Error('changed my mind')
  const work = (limit: Deadline) => within(limit, 'h', Promise.reject(new Error('aborted')))
  const waiting = withDeadline(HOUR_MS, controller.signal, work)
  controller.abort(reason)
  await expect(waiting).rejects.toBe(reason)
})

it('passes on the result and the failure of the work', async () => {
  const during = (work: Promise<number>) => withDeadline(HOUR_MS, undefined, (limit) => within(limit, 'h', work))
  expect(await during(Promise.resolve(1))).toBe(1)
  await expect(during(Promise.reject(new Error('no')))).rejects.toThrow('no')
})

it('removes its listener from the caller’s signal however the work ends', async () => {
  const { signal } = new AbortController()
  await withDeadline(HOUR_MS, signal, async () => {
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  })
  await expect(withDeadline(HOUR_MS, signal, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

it('aborts the rest of work that failed, and not of work that succeeded', async () => {
  const signals: AbortSignal[] = []
  const fail = withDeadline(HOUR_MS, undefined, async ({ signal }) => {
    signals.push(signal)
    throw new Error('no')
  })
  await expect(fail).rejects.toThrow('no')
  await withDeadline(HOUR_MS, undefined, async ({ signal }) => void signals.push(signal))
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
})

it('accepts any timeout, and Infinity', async () => {
  // A timer that is set later and as short as any: it would come second to one that fires at once.
  const later = () => new Promise((resolve) => setTimeout(resolve, 1, 'done'))
  const wait = (limit: Deadline) => within(limit, 'h', later())
  expect(await withDeadline(Number.POSITIVE_INFINITY, undefined, wait)).toBe('done')
})
