import { expect, it } from 'vitest'
import { changeOf } from '../src/pages/soft-keyboard.ts'

it.each([
  ['  ', '  a', 0, 'a'],
  ['  ', ' ', 1, ''],
  ['  teh', '  the ', 2, 'he '],
  ['  a', '  a\n', 0, '\n'],
  ['  ', '  😀', 0, '😀'],
  ['  😀', '  ', 1, ''],
  ['  ', '  ', 0, ''],
])('turns the input of a soft keyboard from %j to %j into %i deletions and %j', (before, after, deleted, added) => {
  expect(changeOf(before, after)).toEqual({ deleted, added })
})
