import { format, inspect } from 'node:util'
import { expect, test } from 'vitest'
import { matchesSha256, Secret, sha256Hex } from '../src/index.ts'

const text = 'correct horse'
const secret = new Secret(text)

test.each([
  ['template', () => `${secret}`],
  ['join', () => [secret, secret].join()],
  ['JSON', () => JSON.stringify({ secret })],
  ['inspect', () => inspect({ deep: { secret } }, { showHidden: true, depth: null })],
  ['format', () => format('%s %o %O %j', secret, secret, secret, secret)],
  ['keys', () => JSON.stringify([Object.entries(secret), Object.getOwnPropertyNames(secret)])],
])('%s does not show a secret', (_, print) => {
  expect(print()).not.toContain('horse')
})

test('a secret is returned by reveal and compared by equals', () => {
  expect(secret.reveal()).toBe(text)
  expect(secret.equals(text)).toBe(true)
  expect(secret.equals('correct horsf')).toBe(false)
  expect(secret.equals('')).toBe(false)
})

test('sha256Hex returns the digests of FIPS 180-2, appendix B.1', () => {
  const digest = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
  expect(sha256Hex('abc')).toBe(digest)
  expect(matchesSha256('abc', digest.toUpperCase())).toBe(true)
  expect(matchesSha256('abd', digest)).toBe(false)
  expect(matchesSha256('abc', `${digest}zz`)).toBe(false)
  expect(matchesSha256('abc', '')).toBe(false)
})
