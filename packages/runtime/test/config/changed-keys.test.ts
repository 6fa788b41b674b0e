import { expect, test } from 'vitest'
import { changedKeys, isBelow } from '../../src/config/changed-keys.ts'
import { Secret } from '../../src/index.ts'

test.each([
  ['nothing', { a: [{ b: 1 }], s: new Secret('x') }, { a: [{ b: 1 }], s: new Secret('x') }, []],
  ['a value', { a: { b: 1 } }, { a: { b: 2 } }, ['a.b']],
  ['a secret', { s: new Secret('x') }, { s: new Secret('y') }, ['s']],
  ['a list that grew', { a: [{ b: 1 }] }, { a: [{ b: 2 }, { b: 3 }] }, ['a[0].b', 'a[1]']],
  ['a list that shrank', { a: [1, 2] }, { a: [1] }, ['a[1]']],
  ['a table that came', { a: {} }, { a: { tls: { cert: 'x' } } }, ['a.tls']],
  ['a table that went', { tls: { cert: 'x' } }, {}, ['tls']],
  ['a table for text', { a: 'x' }, { a: { b: 1 } }, ['a']],
  ['a key in quotes', { policy: { 'os:x': ['a'] } }, { policy: { 'os:x': ['b'] } }, ['policy."os:x"[0]']],
])('%s', (_, before, after, paths) => expect(changedKeys(before, after)).toEqual(paths))

test('isBelow matches the elements of a list that is named with []', () => {
  const known = ['listen[].tls.cert', 'sources[].servers', 'cors']
  const below = ['listen[3].tls.cert', 'sources[0].servers[1].name', 'sources[0].servers', 'cors.origins[0]']
  for (const path of below) expect([path, isBelow(path, known)]).toEqual([path, true])
  for (const path of ['listen[3].tls', 'sources[0]', 'corsair', 'listen[3].tls.certs']) {
    expect([path, isBelow(path, known)]).toEqual([path, false])
  }
})
