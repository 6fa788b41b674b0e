import { expect, it } from 'vitest'
import { neighbour } from '../src/roving-focus.ts'

it.each([
  ['ArrowRight', 0, 1],
  ['ArrowRight', 3, 0],
  ['ArrowLeft', 2, 1],
  ['ArrowLeft', 0, 3],
  ['Home', 2, 0],
  ['End', 1, 3],
  ['Enter', 1, -1],
])('%s leads from tool %i of four to %i', (key, from, to) => {
  expect(neighbour(key, from, 4)).toBe(to)
})
