import { expect, test } from 'vitest'
import { sharedAddresses } from '../../src/index.ts'

const faultsOf = (...addresses: string[]) =>
  sharedAddresses(addresses.map((address, i) => ({ path: `listen[${i}]`, address })))

test('sharedAddresses returns a fault with both keys for a repeated address', () => {
  expect(faultsOf('127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:1')).toEqual([
    { path: 'listen[2]', message: '127.0.0.1:1 is taken by listen[0], give each its own port' },
  ])
})

test.each([
  ['0.0.0.0:1', '127.0.0.1:1'],
  ['10.0.0.5:1', '0.0.0.0:1'],
  ['[::]:1', '127.0.0.1:1'],
  ['[::]:1', '0.0.0.0:1'],
  ['[::1]:1', '[::]:1'],
  ['[0:0:0:0:0:0:0:1]:1', '[::1]:1'],
  ['127.0.0.1:1', '[::ffff:127.0.0.1]:1'],
  ['[::ffff:7f00:1]:1', '0.0.0.0:1'],
])('sharedAddresses returns a fault for %s and %s', (first, second) => {
  const message = `${second} is taken by listen[0] as ${first}, give each its own port`
  expect(faultsOf(first, second)).toEqual([{ path: 'listen[1]', message }])
})

test.each([
  ['127.0.0.1:0', '127.0.0.1:0'],
  ['127.0.0.1:1', '127.0.0.2:1'],
  ['0.0.0.0:1', '[::1]:1'],
  ['0.0.0.0:1', '127.0.0.1:2'],
])('sharedAddresses returns no fault for %s and %s', (first, second) => expect(faultsOf(first, second)).toEqual([]))
