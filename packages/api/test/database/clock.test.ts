import { expect, test } from 'vitest'
import { steadyClock } from '../../src/database/clock.ts'

/** A wall clock and a stopwatch that a test moves. */
function clocks(wall = 1_000_000) {
  const time = { wall, elapsed: 5 }
  const now = steadyClock(
    () => time.wall,
    () => time.elapsed,
  )
  const pass = (ms: number) => {
    time.wall += ms
    time.elapsed += ms
  }
  return { time, now, pass }
}

test('steadyClock returns the time of the wall clock', () => {
  const { now, pass } = clocks()
  pass(1234)
  expect(now()).toBe(1_001_234)
})

test('steadyClock continues from where it was when the wall clock is set back, at the pace of real time', () => {
  const { time, now, pass } = clocks()
  pass(1000)
  time.wall -= 3_600_000
  expect(now()).toBe(1_000_999)
  pass(500)
  expect(now()).toBe(1_001_499)
})

test('steadyClock loses its lead slowly', () => {
  const { time, now, pass } = clocks()
  time.wall -= 1000
  pass(600_000)
  expect(now()).toBe(1_000_000 + 600_000 - 300)
  pass(1_400_000)
  expect(now()).toBe(time.wall)
})

test('steadyClock notices a wall clock that is set back before the first call', () => {
  const { time, now, pass } = clocks()
  time.wall -= 3_600_000
  pass(10_000)
  expect(now()).toBe(1_009_995)
})

test('steadyClock follows a wall clock that is set forward, as after a suspend', () => {
  const { time, now, pass } = clocks()
  time.wall += 60_000
  expect(now()).toBe(1_060_000)
  pass(1)
  expect(now()).toBe(1_060_001)
})

test('steadyClock returns whole milliseconds without accumulating rounding errors', () => {
  const { time, now } = clocks()
  for (let i = 1; i <= 1000; i += 1) {
    time.elapsed += 0.9
    time.wall = 1_000_000 + Math.floor(i * 0.9)
    expect(now()).toBe(time.wall)
  }
})
