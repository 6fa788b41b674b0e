import { isPageKey } from '@oriel/contract'
import { expect, it } from 'vitest'
import { subprotocols } from '../src/console-end.ts'
import { newPageKey } from '../src/page-key.ts'

it('a page key has the form that the proxy accepts, and differs from the one before', () => {
  const keys = Array.from({ length: 500 }, newPageKey)
  expect(keys.filter((key) => !isPageKey(key))).toEqual([])
  expect(new Set(keys).size).toBe(keys.length)
})

it('an element offers its page key besides the console and the refusals', () => {
  expect(subprotocols('AAAAAAAAAAAAAAAAAAAAAA')).toEqual([
    'binary',
    'oriel.refusals',
    'oriel.page.AAAAAAAAAAAAAAAAAAAAAA',
  ])
})
