import { Secret } from '@oriel/runtime'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { vvFile, vvFileName } from '../../src/spice/console-file/vv.ts'

const file = (title: string, ca?: string) =>
  vvFile({ endpoint: { host: 'h', port: 1, tlsPort: 2 }, ticket: new Secret('t'), title, ca })
const lineOf = (text: string, key: string) => text.split('\n').find((line) => line.startsWith(`${key}=`))

describe('a .vv file', () => {
  it('contains only the TLS port if there is one', () => {
    expect(lineOf(file('x'), 'tls-port')).toBe('tls-port=2')
    expect(lineOf(file('x'), 'port')).toBeUndefined()
  })

  it('contains a certificate on one line', () => {
    expect(lineOf(file('x', '-----BEGIN CERTIFICATE-----\nAA==\n'), 'ca')).toBe(
      'ca=-----BEGIN CERTIFICATE-----\\nAA==\\n',
    )
  })

  it.each([
    ['a line break', 'a\nproxy=http://evil', 'title=a\\nproxy=http://evil'],
    ['a carriage return', 'a\rb', 'title=a\\rb'],
    ['a backslash', 'a\\nb', 'title=a\\\\nb'],
    ['blanks before it', '  a', 'title=\\s\\sa'],
    ['control characters', 'a\u0000\u001b[2J\u0085b', 'title=a[2Jb'],
    ['a monitor number', '100%d', 'title=100d'],
  ])('escapes a title with %s', (_name, title, line) => {
    expect(lineOf(file(title), 'title')).toBe(line)
  })

  it('has the same keys for any title', () => {
    const keys = (text: string) => text.split('\n').map((line) => line.split('=')[0])
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (title) => {
        expect(keys(file(title))).toEqual(keys(file('x')))
      }),
      { numRuns: 500, seed: 6 },
    )
  })

  it.each([
    ['52b2e44e', '52b2e44e.vv'],
    ['../../etc/passwd', 'etc-passwd.vv'],
    ['a"\r\nSet-Cookie: x', 'a-Set-Cookie-x.vv'],
    ['', 'console.vv'],
  ])('for the name %j is called %s', (name, fileName) => {
    expect(vvFileName(name)).toBe(fileName)
  })
})
