import { isPageKey } from '@oriel/contract'
import { expect, it } from 'vitest'
import { subprotocols } from '../src/console-end.ts'
import { newPageKey } from '../src/page-key.ts'

it('a page key has the form that the proxy accepts, and differs from the one before', () => {
  const keys = Array.from({ length: 500 }, newPageKey)
  expect(keys.filter((key) => !isPageKey(key))).toEqual([])
  expect(new Set(keys).size).toBe(keys.length)
})

it('an element offers its page key, and its ticket if it has one, besides the console and the refusals', () => {
  const pageKey = 'AAAAAAAAAAAAAAAAAAAAAA'
  const always = ['binary', 'oriel.refusals', 'oriel.page.AAAAAAAAAAAAAAAAAAAAAA']
  expect(subprotocols({ pageKey })).toEqual(always)
  expect(subprotocols({ pageKey, ticket: 'ttt' })).toEqual([...always, 'oriel.ticket.ttt'])
})
