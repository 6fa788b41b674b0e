import { expect, it } from 'vitest'
import { durationText } from '../src/pages/session-panel.ts'

it.each([
  [999, '0 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [3_599_999, '59 min'],
  [3_600_000, '1 h 0 min'],
  [93_900_000, '26 h 5 min'],
])('formats %i ms as %s', (ms, text) => {
  expect(durationText(ms)).toBe(text)
})
