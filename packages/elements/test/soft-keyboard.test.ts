import { expect, it } from 'vitest'
import { changeOf, withHeld } from '../src/pages/soft-keyboard.ts'

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

it.each([
  ['c', [], 0, 'c', undefined, 0, 'c'],
  ['c', ['Control'], 0, 'c', 'Control+c', 0, ''],
  ['two characters', ['Control', 'Alt'], 0, 'ab', 'Control+Alt+a', 0, 'b'],
  ['Enter', ['Alt'], 0, '\n', 'Alt+Enter', 0, ''],
  ['Backspace twice', ['Control'], 2, '', 'Control+Backspace', 1, ''],
  ['nothing', ['Control'], 0, '', undefined, 0, ''],
])('presses the first key of %s with %j', (_, held, deleted, added, chord, deletedAfter, addedAfter) => {
  expect(withHeld(held, { deleted, added })).toEqual({ chord, rest: { deleted: deletedAfter, added: addedAfter } })
})
