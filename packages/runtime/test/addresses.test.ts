import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addressSet, canonicalAddress, isLocalHost, isLocalOrigin, isLoopback, networkOf } from '../src/index.ts'

describe('the canonical form of an address', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:192.0.2.7', '192.0.2.7'],
    ['::ffff:c000:207', '192.0.2.7'],
    ['::ffff:cb00:7142', '203.0.113.66'],
    ['0:0:0:0:0:ffff:192.0.2.7', '192.0.2.7'],
    ['0000:0000:0000:0000:0000:FFFF:C000:0207', '192.0.2.7'],
    ['::ffff:192.0.2.7%eth0', '192.0.2.7'],
    ['::ffff:0:0', '0.0.0.0'],
    ['::ffff:0:1', '0.0.0.1'],
    ['::ffff:1:0', '0.1.0.0'],
    ['2001:DB8::7', '2001:db8::7'],
    ['2001:0db8:0000:0000:0000:0000:0000:0007', '2001:db8::7'],
    ['2001:db8:0:0:8::', '2001:db8:0:0:8::'],
    ['fe80::1%eth0', 'fe80::1'],
    ['fe80::1%25eth0', 'fe80::1'],
    ['::', '::'],
    ['::1', '::1'],
    // IPv4-compatible and NAT64 addresses are IPv6 addresses of their own.
    ['::192.0.2.7', '::c000:207'],
    ['64:ff9b::192.0.2.7', '64:ff9b::c000:207'],
  ])('of %s is %s', (address, canonical) => expect(canonicalAddress(address)).toBe(canonical))

  test.each([
    '',
    'localhost',
    '192.0.2',
    '192.0.2.256',
    '010.0.0.1',
    '0x7f.1',
    '[::1]',
    '::ffff:192.0.2',
    '1::2::3',
    '%',
  ])('%j is not an address', (text) => expect(canonicalAddress(text)).toBeUndefined())

  test('is the same for every spelling of an address, and is unchanged when it is canonicalised again', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 }), fc.boolean(), (random, mapped) => {
        const groups = mapped ? [0, 0, 0, 0, 0, 0xffff, ...random.slice(6)] : random
        const forms = new Set(spellings(groups).map(canonicalAddress))
        expect(forms.size).toBe(1)
        const [form] = forms
        expect(canonicalAddress(form!)).toBe(form)
        expect(form!.includes(':')).toBe(!mapped)
      }),
    )
  })

  test('differs for two different addresses', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.ipV6(), (a, b) => {
        fc.pre(expanded(a) !== expanded(b))
        expect(canonicalAddress(a)).not.toBe(canonicalAddress(b))
      }),
    )
  })
})

/** Ways to write the IPv6 address of eight groups. */
function spellings(groups: readonly number[]): readonly string[] {
  const hex = groups.map((group) => group.toString(16))
  const bytes = groups.slice(6).flatMap((group) => [group >> 8, group & 0xff])
  const plain = hex.join(':')
  const padded = hex.map((group) => group.padStart(4, '0')).join(':')
  const dotted = `${hex.slice(0, 6).join(':')}:${bytes.join('.')}`
  const compressed = new URL(`http://[${plain}]`).hostname.slice(1, -1)
  return [plain, padded, padded.toUpperCase(), dotted, compressed, `${compressed}%eth0`]
}

const expanded = (address: string) => new URL(`http://[${address}]`).hostname

describe('a set of addresses', () => {
  const set = addressSet(['10.0.0.0/8', '::ffff:192.0.2.0/120', '2001:DB8::/32', 'fe80::/10', '::ffff:c633:6401'])

  test.each([
    ['10.1.2.3', true],
    ['::ffff:10.1.2.3', true],
    ['::ffff:a01:203', true],
    ['192.0.2.7', true],
    ['::ffff:c000:207', true],
    ['192.0.3.7', false],
    ['198.51.100.1', true],
    ['2001:db8:0::7', true],
    ['fe80::1%eth0', true],
    ['11.0.0.1', false],
    ['::10.1.2.3', false],
    ['portal.example', false],
    ['', false],
  ])('contains %s: %s', (address, held) => expect(set.has(address)).toBe(held))

  test.each(['10.0.0.0/33', 'h.example', '10.0.0', '10.0.0.0/', '10.0.0.0/8/8', '::/129', '::ffff:10.0.0.0/129', '/8'])(
    '%j is neither an address nor a CIDR',
    (entry) => expect(() => addressSet([entry])).toThrow(TypeError),
  )
})

test.each([
  ['localhost', true],
  ['LocalHost.', true],
  ['127.0.0.1', true],
  ['127.255.255.254', true],
  ['::1', true],
  ['[::1]', true],
  ['0:0:0:0:0:0:0:1', true],
  ['::ffff:127.0.0.1', true],
  ['::ffff:7f00:1', true],
  ['[::ffff:7f00:1]', true],
  ['0.0.0.0', false],
  ['::', false],
  ['128.0.0.1', false],
  ['127.0.0.1.evil.example', false],
  ['localhost.evil.example', false],
  ['::ffff:128.0.0.1', false],
  ['::127.0.0.1', false],
  ['compute-1', false],
  ['', false],
])('isLoopback(%j) is %s', (host, loopback) => expect(isLoopback(host)).toBe(loopback))

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:c000:207', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8::7', '2001:db8:0:0::/64'],
  ['::', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['unknown', 'unknown'],
])('networkOf(%j) is %s', (address, network) => expect(networkOf(address)).toBe(network))

test.each([
  ['localhost', true],
  ['localhost:8774', true],
  ['LOCALHOST.:8774', true],
  ['a.b.localhost:8774', true],
  ['127.0.0.1:8774', true],
  ['[::1]:8774', true],
  ['[::ffff:127.0.0.1]', true],
  ['rebind.attacker.example', false],
  ['localhost.attacker.example', false],
  ['notlocalhost', false],
  ['localhost:x', false],
  ['localhost/x', false],
  ['user@localhost', false],
  ['::1', false],
  ['', false],
])('isLocalHost(%j) is %s', (host, local) => expect(isLocalHost(host)).toBe(local))

test.each([
  ['http://localhost:6080', true],
  ['https://127.0.0.1', true],
  ['http://[::1]:6080', true],
  ['http://app.localhost', true],
  ['http://rebind.attacker.example', false],
  ['http://localhost@attacker.example', false],
  ['http://localhost.attacker.example', false],
  ['http://localhost/path', false],
  ['file://', false],
  ['null', false],
  ['', false],
])('isLocalOrigin(%j) is %s', (origin, local) => expect(isLocalOrigin(origin)).toBe(local))
