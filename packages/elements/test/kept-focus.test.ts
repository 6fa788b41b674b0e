import { expect, it } from 'vitest'
import { nextPlace } from '../src/pages/kept-focus.ts'

interface Box {
  readonly localName: string
  readonly id: string
  readonly usable?: boolean
  readonly inside?: readonly Box[]
}

const button = (id: string, usable = true): Box => ({ localName: 'button', id, usable })
const box = (id: string, ...inside: Box[]): Box => ({ localName: id === 'body' ? 'body' : 'div', id, inside })
const next = (...parents: Box[]) =>
  nextPlace(
    parents,
    ({ usable }) => usable === true,
    ({ inside = [] }) => inside,
  )?.id

it('moves the focus from a disabled button to the next one in its toolbar', () => {
  expect(next(box('tools', button('keys', false), button('view')), box('body', button('other')))).toBe('view')
})

it('moves the focus from a removed item to the panel around its list, if the list is empty', () => {
  const panel = { ...box('panel', button('close')), usable: true }
  expect(next(box('item', button('give', false)), box('list'), panel, box('body'))).toBe('panel')
})

it('finds no place in a notice that is closed, and leaves the page around it to the fallback', () => {
  expect(next(box('notice', button('give', false)), box('body', button('status')))).toBeUndefined()
})
