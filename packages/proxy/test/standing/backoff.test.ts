import { expect, it } from 'vitest'
import { Backoff, STANDING_TIMES } from '../../src/standing/backoff.ts'

it('dials a restarting machine at least every half second for a minute, and then every five seconds', () => {
  const backoff = new Backoff(STANDING_TIMES)
  let passed = 0
  const pauses: number[] = []
  for (; passed < 60_000; passed += pauses.at(-1)!) pauses.push(backoff.next())
  expect(pauses.slice(0, 5)).toEqual([50, 100, 200, 400, 400])
  expect(Math.max(...pauses)).toBeLessThan(500)
  expect([backoff.next(), backoff.next()]).toEqual([5_000, 5_000])
})
