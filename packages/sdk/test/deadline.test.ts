import { getEventListeners } from 'node:events'
import { expect, it } from 'vitest'
import { type Deadline, withDeadline, within } from '../src/deadline.ts'

const HOUR_MS = 3_600_000

// Browsers run the work's own abort handling first, and its error would hide why it was aborted.
it('tells why the wait ended, even if the work noticed first', async () => {
  const controller = new AbortController()
  const reason = new Error('changed my mind')
  const work = (limit: Deadline) => within(limit, 'h', Promise.reject(new Error('aborted')))
  const waiting = withDeadline(HOUR_MS, controller.signal, work)
  controller.abort(reason)
  await expect(waiting).rejects.toBe(reason)
})

it('passes the result and the failure of the work on', async () => {
  const during = (work: Promise<number>) => withDeadline(HOUR_MS, undefined, (limit) => within(limit, 'h', work))
  expect(await during(Promise.resolve(1))).toBe(1)
  await expect(during(Promise.reject(new Error('no')))).rejects.toThrow('no')
})

it('leaves nothing with the caller, however the work ends', async () => {
  const { signal } = new AbortController()
  await withDeadline(HOUR_MS, signal, async () => {
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  })
  await expect(withDeadline(HOUR_MS, signal, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(getEventListeners(signal, 'abort')).toHaveLength(0)
})

it('ends what is still open of work that failed, and nothing of work that is done', async () => {
  const signals: AbortSignal[] = []
  const fail = withDeadline(HOUR_MS, undefined, async ({ signal }) => {
    signals.push(signal)
    throw new Error('no')
  })
  await expect(fail).rejects.toThrow('no')
  await withDeadline(HOUR_MS, undefined, async ({ signal }) => void signals.push(signal))
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
})

it('takes any length of time, and no end of it', async () => {
  // A timer that is set later and as short as any: it would come second to one that fires at once.
  const later = () => new Promise((resolve) => setTimeout(resolve, 1, 'done'))
  const wait = (limit: Deadline) => within(limit, 'h', later())
  expect(await withDeadline(Number.POSITIVE_INFINITY, undefined, wait)).toBe('done')
})
