import { addressSet } from '@oriel/runtime'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readForwarded } from '../../src/admit/forwarded.ts'
import { Limits } from '../../src/admit/limits.ts'
import { type AllowedOrigin, admitOrigin, admitScheme, allowedOrigin } from '../../src/admit/origin.ts'
import { SingleUse } from '../../src/admit/single-use.ts'
import { readSite } from '../../src/admit/site.ts'
import { isToken, requestToken } from '../../src/admit/token.ts'
import { admissionOf } from '../../src/authority/authority.ts'
import { Breaker, type Evidence } from '../../src/authority/breaker.ts'

const A = 'aaaaaaaa'
const B = 'bbbbbbbb'

describe('the token of a request', () => {
  it.each([
    ['the query', `/?token=${A}`, undefined, A],
    ['any path', `/websockify?token=${A}`, undefined, A],
    ['the last of several', `/?token=${A}&token=${B}`, undefined, B],
    ['the last that is not empty', `/?token=${A}&token=`, undefined, A],
    ['beside other parameters', `/?title=x%20(y)&token=${A}&z=1`, undefined, A],
    ['inside path, encoded', `/vnc_lite.html?path=%3Ftoken%3D${A}`, undefined, A],
    ['inside path, with a path of its own', `/vnc.html?path=websockify%3Fx%3D1%26token%3D${A}`, undefined, A],
    ['the query before path', `/?path=%3Ftoken%3D${A}&token=${B}`, undefined, B],
    ['a cookie', '/', `a=1; token=${A}; b=2`, A],
    ['the last cookie', '/', `token=${A}; token=${B}`, B],
    ['a quoted cookie', '/', `token="${A}"`, A],
    ['the query before a cookie', `/?token=${A}`, `token=${B}`, A],
    ['a cookie when the query has none', '/?token=', `token=${B}`, B],
    ['no other cookie', '/', `csrftoken=${A}; x-token=${A}`, undefined],
    ['nothing at all', '/', undefined, undefined],
    ['not the fragment of a path', `/token=${A}`, undefined, undefined],
  ])('is read from %s', (_, target, cookie, token) => {
    expect(requestToken(target, cookie)).toBe(token)
  })

  it.each(['..', '.', '', 'a/b', 'a b', 'a%2fb', 'ä', 'x'.repeat(256), 'a\r\nb'])('is rejected if it is %j', (text) => {
    expect(isToken(text)).toBe(false)
  })
})

describe('the origin of a page', () => {
  const nobody = addressSet([])
  const site = (host: string) => readSite({ headers: {}, rawHeaders: ['Host', host], peerAddress: '192.0.2.1' }, nobody)
  const allowed = ['portal.example', 'https://secure.example', '[2001:db8::1]'].map(allowedOrigin)
  const verdict = (host: string, ...origins: string[]) => {
    try {
      admitOrigin(['Host', host, ...origins.flatMap((origin) => ['Origin', origin])], site(host), allowed)
      return 'admitted'
    } catch (error) {
      return (error as { refusal?: string }).refusal
    }
  }

  it.each([
    ['http', 'foreign_origin'],
    ['https', 'admitted'],
  ])('of a listener with TLS is judged for a page over %s: %s', (scheme, expected) => {
    const headers = ['Host', 'h.example', 'Origin', `${scheme}://h.example`]
    const admit = () => admitOrigin(headers, site('h.example'), allowed, { tls: true })
    if (expected === 'admitted') expect(admit()).toMatchObject({ scheme })
    else expect(admit).toThrow(expect.objectContaining({ refusal: expected }))
  })

  it.each([
    ['missing', 'h.example:6080', [], 'admitted'],
    ['of the host itself', 'h.example:6080', ['http://h.example:6080'], 'admitted'],
    ['of another port', 'h.example:6080', ['http://h.example:8080'], 'admitted'],
    ['without a port', 'h.example:6080', ['https://h.example'], 'admitted'],
    ['in another case', 'H.Example', ['http://h.eXample'], 'admitted'],
    ['with a trailing dot', 'h.example.', ['http://h.example'], 'admitted'],
    ['with a trailing dot of its own', 'h.example', ['http://h.example.'], 'admitted'],
    ['an IPv4 address', '192.0.2.7:6080', ['http://192.0.2.7'], 'admitted'],
    ['an IPv6 address', '[2001:db8::2]:6080', ['http://[2001:db8::2]'], 'admitted'],
    ['an IPv6 address written otherwise', '[2001:0DB8:0::2]:6080', ['http://[2001:db8::2]:1'], 'admitted'],
    ['allowed by name', 'h.example', ['http://portal.example:8080'], 'admitted'],
    ['allowed with its scheme', 'h.example', ['https://secure.example'], 'admitted'],
    ['allowed as IPv6', 'h.example', ['https://[2001:db8::1]'], 'admitted'],
    ['allowed, but by the wrong scheme', 'h.example', ['http://secure.example'], 'foreign_origin'],
    ['foreign', 'h.example', ['http://evil.example'], 'foreign_origin'],
    ['a look-alike sub-domain', 'h.example', ['http://h.example.evil.example'], 'foreign_origin'],
    ['a sub-domain', 'h.example', ['http://x.h.example'], 'foreign_origin'],
    ['a longer name', 'h.example', ['http://evilh.example'], 'foreign_origin'],
    ['an allowed name with a suffix', 'h.example', ['http://portal.example.evil'], 'foreign_origin'],
    ['null', 'h.example', ['null'], 'foreign_origin'],
    ['empty', 'h.example', [''], 'foreign_origin'],
    ['two of them', 'h.example', ['http://h.example', 'http://h.example'], 'foreign_origin'],
    ['a list', 'h.example', ['http://h.example, http://evil.example'], 'foreign_origin'],
    ['with a path', 'h.example', ['http://h.example/x'], 'foreign_origin'],
    ['with a user', 'h.example', ['http://h.example@evil.example'], 'foreign_origin'],
    ['of a file', 'h.example', ['file://'], 'foreign_origin'],
    ['of an extension', 'h.example', ['chrome-extension://h.example'], 'foreign_origin'],
    ['without a scheme', 'h.example', ['h.example'], 'foreign_origin'],
    ['a port too long', 'h.example', ['http://h.example:123456'], 'foreign_origin'],
  ])('CVE-2015-0259 cross-site hijack: %s', (_, host, origins, wanted) => {
    expect(verdict(host, ...origins)).toBe(wanted)
  })

  it.each(['', '/', 'h/x', 'h:x', 'h:123456', 'a b', '[::1', '[h]', 'h@x', '.', 'h..x'])(
    'CVE-2024-32652 bad Host: %j is refused',
    (host) => {
      expect(() => site(host)).toThrow(expect.objectContaining({ refusal: 'bad_request' }))
    },
  )

  it('CVE-2024-32652 bad Host: two Host headers are refused', () => {
    const rawHeaders = ['Host', 'h.example', 'host', 'h.example']
    expect(() => readSite({ headers: {}, rawHeaders, peerAddress: '192.0.2.1' }, nobody)).toThrow('2 Host headers')
  })

  it('allowed-origin poisoning: 10,000 random Hosts leave the list unchanged', () => {
    const list: readonly AllowedOrigin[] = Object.freeze([...allowed])
    const before = JSON.stringify(list)
    for (let i = 0; i < 10_000; i += 1) {
      const host = `h${i}.example`
      admitOrigin(['Host', host, 'Origin', `http://${host}`], site(host), list)
      expect(() => admitOrigin(['Origin', `http://${host}`], site('other.example'), list)).toThrow()
    }
    expect(JSON.stringify(list)).toBe(before)
  })

  it.each(['', 'a b', 'ftp://h', 'https://h/x', '*', '*.example'])(
    '%j is rejected as an entry of origin.allowed',
    (entry) => {
      expect(() => allowedOrigin(entry)).toThrow(TypeError)
    },
  )

  it.each([
    ['http', 'http://c.example/vnc.html', undefined, true],
    ['https', 'https://c.example/', undefined, true],
    ['http', 'ws://c.example/', undefined, true],
    ['https', 'wss://c.example/', undefined, true],
    ['http', 'https://c.example/', undefined, false],
    ['https', 'http://c.example/', undefined, false],
    ['http', 'wss://c.example/', undefined, false],
    ['http', 'https://c.example/', 'https', true],
    ['https', 'https://c.example/', 'http', false],
    ['http', undefined, undefined, true],
  ] as const)('admits a page over %s for base URL %s, forwarded as %s: %s', (scheme, baseUrl, forwarded, fine) => {
    const where = { ...site('h.example'), ...(forwarded ? { forwardedScheme: forwarded } : {}) }
    const admit = () => admitScheme({ scheme, hostName: 'h.example' }, where, baseUrl)
    if (fine) admit()
    else expect(admit).toThrow(expect.objectContaining({ refusal: 'foreign_origin' }))
  })
})

describe('the client address of a request', () => {
  const trusted = addressSet(['10.0.0.0/8', '2001:db8::/32', '192.0.2.9'])
  const site = (peerAddress: string, headers: Record<string, string>) =>
    readSite({ headers, rawHeaders: ['Host', 'h.example'], peerAddress }, trusted)

  it.each([
    ['from an untrusted peer is ignored', '203.0.113.5', '198.51.100.1', '203.0.113.5'],
    ['from a trusted proxy is used', '10.1.2.3', '198.51.100.1', '198.51.100.1'],
    ['from a trusted proxy with an IPv4-mapped address is used', '::ffff:10.1.2.3', '198.51.100.1', '198.51.100.1'],
    [
      'from a trusted proxy with an IPv4-mapped address in hex is used',
      '::FFFF:0a01:203',
      '198.51.100.1',
      '198.51.100.1',
    ],
    ['is converted to its shortest form', '10.1.2.3', '2001:DBA:0:0::0001', '2001:dba::1'],
    ['that is IPv4-mapped is converted to IPv4', '10.1.2.3', '::ffff:c633:6401', '198.51.100.1'],
    ['loses its zone index', '10.1.2.3', 'fe80::7%eth0', 'fe80::7'],
    ['is the last untrusted one', '10.1.2.3', '1.1.1.1, 198.51.100.1', '198.51.100.1'],
    ['skips trusted proxies', '10.1.2.3', '198.51.100.1, 192.0.2.9, 10.9.9.9', '198.51.100.1'],
    ['may be a name', '10.1.2.3', '198.51.100.1, unknown', 'unknown'],
    ['IPv4 with a port', '10.1.2.3', '203.0.113.8:51234', '203.0.113.8'],
    ['IPv4 with another port', '10.1.2.3', '203.0.113.8:51235', '203.0.113.8'],
    ['IPv4-mapped with a port', '10.1.2.3', '[::ffff:203.0.113.8]:51234', '203.0.113.8'],
    ['a port of a trusted proxy in between', '10.1.2.3', '198.51.100.1:9, 10.9.9.9:443', '198.51.100.1'],
    ['IPv6 with brackets and port', '2001:db8::5', '[2001:dba::1]:443', '2001:dba::1'],
    ['IPv6 with brackets alone', '2001:db8::5', '[2001:DBA::1]', '2001:dba::1'],
    ['IPv6 with a port and no brackets', '10.1.2.3', '2001:dba:0:0:0:0:0:1:443', '2001:dba::1'],
    ['empty elements are passed over', '10.1.2.3', '198.51.100.1, , 10.9.9.9,', '198.51.100.1'],
    ['nonsense is a client of its own', '10.1.2.3', 'a b', expect.stringMatching(/^unparsed-[0-9a-f]{16}$/)],
    ['long nonsense has a short name', '10.1.2.3', 'x'.repeat(5000), expect.stringMatching(/^unparsed-[0-9a-f]{16}$/)],
    ['no header', '10.1.2.3', '', '10.1.2.3'],
  ])('in X-Forwarded-For: %s', (_, peer, forwarded, client) => {
    expect(site(peer, { 'x-forwarded-for': forwarded }).client).toEqual(client)
  })

  it.each([
    ['a token', '10.1.2.3', 'for=198.51.100.1', '198.51.100.1'],
    ['in any case, beside others', '10.1.2.3', 'By=10.1.2.3;FOR=198.51.100.1;proto=https', '198.51.100.1'],
    ['IPv4 with a port', '10.1.2.3', 'for="198.51.100.1:51234"', '198.51.100.1'],
    ['quoted IPv6 with a port', '10.1.2.3', 'for="[2001:dba::1]:4711"', '2001:dba::1'],
    ['IPv6 without the quotes that it needs', '10.1.2.3', 'for=[2001:dba::1]:4711', '2001:dba::1'],
    ['an obfuscated port', '10.1.2.3', 'for="198.51.100.1:_p1"', '198.51.100.1'],
    ['an escape in a quoted string', '10.1.2.3', 'for="198.51\\.100.1"', '198.51.100.1'],
    ['a hidden name', '10.1.2.3', 'for=_hidden', '_hidden'],
    ['unknown', '10.1.2.3', 'for=unknown', 'unknown'],
    [
      'the last that is not trusted',
      '10.1.2.3',
      'for=1.1.1.1, for=198.51.100.1;by=10.9.9.9, for=10.9.9.9',
      '198.51.100.1',
    ],
    ['a comma in a quoted string', '10.1.2.3', 'for=1.1.1.1, for=198.51.100.1;ext="a, for=10.9.9.9"', '198.51.100.1'],
    ['nothing', '10.1.2.3', 'proto=https', '10.1.2.3'],
    ['empty elements', '10.1.2.3', 'for=198.51.100.1, ,;', '10.1.2.3'],
    ['from an untrusted peer is ignored', '203.0.113.5', 'for=198.51.100.1', '203.0.113.5'],
    ['an open quote on the left spoils nothing', '10.1.2.3', 'for="1.1.1.1, for=198.51.100.1', '198.51.100.1'],
    ['nonsense on the left spoils nothing', '10.1.2.3', '=;"";;for=, for=198.51.100.1', '198.51.100.1'],
    ['nonsense is a client of its own', '10.1.2.3', 'for=', expect.stringMatching(/^unparsed-[0-9a-f]{16}$/)],
    ['an open quote is a client of its own', '10.1.2.3', 'for="10.9.9.9', expect.stringMatching(/^unparsed-/)],
  ])('Forwarded contains %s', (_, peer, forwarded, client) => {
    expect(site(peer, { forwarded }).client).toEqual(client)
  })

  it('scheme and host come from the outermost trusted proxy that sends them in Forwarded', () => {
    const forwarded =
      'for=1.1.1.1;proto=http;host=evil.example, for=198.51.100.1;proto=https;host="portal.example:8443", for=10.9.9.9;proto=http'
    expect(site('10.1.2.3', { forwarded })).toEqual({
      ...{ hostName: 'portal.example', forwardedScheme: 'https', client: '198.51.100.1' },
    })
  })

  it.each([
    ['x-forwarded-proto', 'http', { client: '198.51.100.1', forwardedScheme: 'http', hostName: 'f.example' }],
    ['x-forwarded-host', 'x.example', { client: '198.51.100.1', forwardedScheme: 'https', hostName: 'x.example' }],
    ['x-forwarded-for', '', { client: '198.51.100.1', forwardedScheme: 'https', hostName: 'f.example' }],
    ['x-forwarded-for', ' , ', { client: '198.51.100.1', forwardedScheme: 'https', hostName: 'f.example' }],
    ['x-forwarded-for', '198.51.100.1:80', { client: '198.51.100.1', hostName: 'h.example' }],
  ])('is read from Forwarded together with %s: %j', (name, value, wanted) => {
    const headers = { [name]: value, forwarded: 'for=198.51.100.1;proto=https;host=f.example' }
    expect(site('10.1.2.3', headers)).toEqual(wanted)
  })

  it('is the same name for all clients for which X-Forwarded-For and Forwarded disagree', () => {
    for (const hops of ['1.1.1.1', '2.2.2.2', '10.1.2.3', 'unknown', '10.9.9.9']) {
      for (const node of ['198.51.100.1', '198.51.100.2', '_hidden']) {
        const headers = { 'x-forwarded-for': hops, forwarded: `for=${node}` }
        expect(site('10.1.2.3', headers).client).toBe('conflicting-headers')
      }
    }
  })

  it.each([
    ['x-forwarded', { client: '1.1.1.1', forwardedScheme: 'http', hostName: 'x.example' }],
    ['forwarded', { client: '2.2.2.2', forwardedScheme: 'https', hostName: 'f.example' }],
  ] as const)('is read only from the configured header %j', (kind, wanted) => {
    const headers = {
      ...{ 'x-forwarded-for': '1.1.1.1', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'x.example' },
      forwarded: 'for=2.2.2.2;proto=https;host=f.example',
    }
    const request = { headers, rawHeaders: ['Host', 'h.example'], peerAddress: '10.1.2.3' }
    expect(readSite(request, trusted, kind)).toEqual(wanted)
  })

  it('has at most 64 characters for any header of a proxy', () => {
    const header = fc.oneof(fc.string(), fc.stringMatching(/^[\w ,;="\\[\].:-]*$/), fc.string({ minLength: 60 }))
    fc.assert(
      fc.property(header, fc.constantFrom('x-forwarded-for', 'forwarded'), (value, name) => {
        const { client } = readForwarded({ [name]: value }, '10.1.2.3', trusted)
        expect(client.length).toBeGreaterThan(0)
        expect(client.length).toBeLessThanOrEqual(64)
        expect(readForwarded({ [name]: value }, '203.0.113.5', trusted)).toEqual({ client: '203.0.113.5' })
      }),
      { numRuns: 1000 },
    )
  })

  it('is read from 16 KiB of each header in linear time', () => {
    for (const piece of [',', ';', '"', '\\"', ' ', 'for=1.1.1.1,', 'for="', '[', ':', 'a:']) {
      const value = piece.repeat(16_384 / piece.length)
      for (const name of ['x-forwarded-for', 'forwarded']) readForwarded({ [name]: value }, '10.1.2.3', trusted)
    }
  })

  it('scheme and host come only from a trusted proxy', () => {
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'portal.example' }
    expect(site('10.1.2.3', headers)).toMatchObject({ forwardedScheme: 'https', hostName: 'portal.example' })
    expect(site('203.0.113.5', headers)).toEqual({ hostName: 'h.example', client: '203.0.113.5' })
  })

  it.each(['10.0.0.0/33', 'h.example', '10.0.0', '10.0.0.0/', '10.0.0.0/8/8', '::/129'])(
    '%j is rejected as a network',
    (entry) => {
      expect(() => addressSet([entry])).toThrow(TypeError)
    },
  )
})

describe('limits', () => {
  const parties = { tokenDigest: 't', instance: 'i', client: 'c', type: 'novnc' as const }
  const wide = { maxTotal: 9, maxPerToken: 9, maxPerInstance: 9, maxPerClient: 9 }

  it.each([
    ['maxTotal', 'max_total is 1', { tokenDigest: 'u', instance: 'j', client: 'd' }],
    ['maxPerToken', 'max_per_token is 1', { tokenDigest: 't', instance: 'j', client: 'd' }],
    ['maxPerInstance', 'max_per_instance is 1', { tokenDigest: 'u', instance: 'i', client: 'd' }],
    ['maxPerClient', 'max_per_client is 1', { tokenDigest: 'u', instance: 'j', client: 'c' }],
  ] as const)('%s refuse one session more, and admit one again after another has left', (limit, detail, next) => {
    const limits = new Limits({ ...wide, [limit]: 1 })
    const slot = limits.enter(parties)
    expect(() => limits.enter({ ...next, type: 'novnc' })).toThrow(detail)
    slot[Symbol.dispose]()
    slot[Symbol.dispose]()
    limits.enter({ ...next, type: 'novnc' })
    expect(() => limits.enter({ ...next, type: 'novnc' })).toThrow(detail)
  })

  it('max_per_client counts one /64 of IPv6, and IPv4 in every spelling, as one client', () => {
    const limits = new Limits({ ...wide, maxPerClient: 1 })
    limits.enter({ ...parties, client: '2001:db8::1' })
    expect(() => limits.enter({ ...parties, client: '2001:db8::ffff:2' })).toThrow('max_per_client')
    limits.enter({ ...parties, client: '2001:db8:0:1::1' })
    limits.enter({ ...parties, client: '::ffff:192.0.2.7' })
    limits.enter({ ...parties, client: '::ffff:192.0.2.8' })
    expect(() => limits.enter({ ...parties, client: '192.0.2.7' })).toThrow('max_per_client')
  })

  it('a refusal takes no slot of any limit', () => {
    const limits = new Limits({ ...wide, maxPerToken: 1, maxTotal: 2 })
    limits.enter(parties)
    for (let i = 0; i < 5; i += 1) expect(() => limits.enter(parties)).toThrow('max_per_token')
    limits.enter({ ...parties, tokenDigest: 'u' })
  })

  it('count the slot of a replaced session as free once, in limits that apply to both sessions', () => {
    const replaces = { tokenDigest: 't', instance: 'i', client: 'c' }
    const limits = new Limits({ ...wide, maxTotal: 1 })
    const slot = limits.enter(parties)
    const next = limits.enter({ ...parties, tokenDigest: 'u', replaces })
    expect(() => limits.enter({ ...parties, tokenDigest: 'v', replaces })).toThrow('max_total')
    slot[Symbol.dispose]()
    expect(() => limits.enter(parties)).toThrow('max_total')
    next[Symbol.dispose]()
    limits.enter(parties)
    const byToken = new Limits({ ...wide, maxPerToken: 1 })
    byToken.enter({ ...parties, tokenDigest: 'u', instance: 'j' })
    expect(() => byToken.enter({ ...parties, tokenDigest: 'u', replaces })).toThrow('max_per_token')
  })

  it('bearer URLs: with single_use a token opens one console, and failed connects do not count', () => {
    const limits = new Limits({ ...wide, singleUse: true })
    limits.enter(parties)[Symbol.dispose]()
    const slot = limits.enter(parties)
    expect(() => limits.enter(parties)).toThrow('used up')
    slot.opened()
    slot[Symbol.dispose]()
    expect(() => limits.enter(parties)).toThrow('used up')
    limits.enter({ ...parties, tokenDigest: 'u' })
  })

  it('bearer URLs: the channels of one SPICE page share a token for a limited time and one client', () => {
    let nowMs = 0
    const uses = new SingleUse({ now: () => nowMs, channelsMs: 1000 })
    const page = { ...parties, type: 'spice-html5' as const }
    uses.take(page).opened()
    uses.take(page).opened()
    expect(() => uses.take({ ...page, client: 'd' })).toThrow('used up')
    nowMs = 1000
    expect(() => uses.take(page)).toThrow('used up')
  })

  it.each(['serial', 'novnc', 'webmks', 'spice-direct'] as const)(
    'bearer URLs: a token that a %s console used opens no SPICE channel, nor the reverse',
    (type) => {
      const uses = new SingleUse()
      uses.take({ ...parties, type }).opened()
      expect(() => uses.take({ ...parties, type: 'spice-html5' })).toThrow('used up')
      uses.take({ ...parties, tokenDigest: 'u', type: 'spice-html5' }).opened()
      expect(() => uses.take({ ...parties, tokenDigest: 'u', type })).toThrow('used up')
      uses.take({ ...parties, tokenDigest: 'u', type: 'spice-html5' }).opened()
    },
  )

  it('a channel that opened uses the token, even if an earlier channel fails afterwards', () => {
    const uses = new SingleUse()
    const page = { ...parties, type: 'spice-html5' as const }
    const [first, second, third] = [uses.take(page), uses.take(page), uses.take(page)]
    second.opened()
    second[Symbol.dispose]()
    first[Symbol.dispose]()
    expect(() => uses.take({ ...page, client: 'thief' })).toThrow('used up')
    third[Symbol.dispose]()
    expect(() => uses.take({ ...page, client: 'thief' })).toThrow('used up')
  })

  it('a token is unused again only when the last of its channels has failed', () => {
    const uses = new SingleUse()
    const page = { ...parties, type: 'spice-html5' as const }
    const [first, second] = [uses.take(page), uses.take(page)]
    first[Symbol.dispose]()
    first[Symbol.dispose]()
    expect(() => uses.take({ ...page, client: 'd' })).toThrow('used up')
    second[Symbol.dispose]()
    uses.take({ ...page, client: 'd' })
  })

  it('the number of remembered tokens is limited', () => {
    const uses = new SingleUse({ max: 2 })
    for (const tokenDigest of ['a', 'b', 'c']) uses.take({ ...parties, tokenDigest }).opened()
    expect(() => uses.take({ ...parties, tokenDigest: 'c' })).toThrow('used up')
    uses.take({ ...parties, tokenDigest: 'a' })
  })
})

describe('the circuit breaker', () => {
  it('opens after consecutive failures, allows one trial after its pause, and closes after a success', async () => {
    let now = 0
    const breaker = new Breaker({ threshold: 2, restMs: 100, now: () => now })
    const fail = () =>
      breaker.run(
        () => Promise.reject(new Error('sick')),
        () => 'fault',
      )
    await expect(fail()).rejects.toThrow('sick')
    expect(breaker.state).toBe('closed')
    await expect(fail()).rejects.toThrow('sick')
    expect(breaker.state).toBe('open')
    await expect(fail()).rejects.toThrow('the last 2 calls failed')
    now = 100
    expect(breaker.state).toBe('trial')
    const trial = Promise.withResolvers<string>()
    const running = breaker.run(
      () => trial.promise,
      () => 'fault',
    )
    await expect(fail()).rejects.toThrow('the last 2 calls failed')
    trial.resolve('well')
    expect(await running).toBe('well')
    expect(breaker.state).toBe('closed')
  })

  it('does not count error responses', async () => {
    const breaker = new Breaker({ threshold: 1 })
    await expect(
      breaker.run(
        () => Promise.reject(new Error('404')),
        () => 'answer',
      ),
    ).rejects.toThrow('404')
    expect(breaker.state).toBe('closed')
  })

  const fails = (breaker: Breaker, evidence: Evidence, subject?: string) =>
    expect(
      breaker.run(
        () => Promise.reject(new Error('sick')),
        () => evidence,
        subject,
      ),
    ).rejects.toThrow('sick')

  it('counts failures about one subject once', async () => {
    const breaker = new Breaker({ threshold: 2 })
    for (let i = 0; i < 5; i += 1) await fails(breaker, 'fault', 'one')
    expect(breaker.state).toBe('closed')
    await fails(breaker, 'fault', 'another')
    expect(breaker.state).toBe('open')
  })

  it('ignores a failure without evidence, and makes the next call the trial', async () => {
    let now = 0
    const breaker = new Breaker({ threshold: 2, restMs: 100, now: () => now })
    await fails(breaker, 'fault')
    for (let i = 0; i < 3; i += 1) await fails(breaker, 'none')
    expect(breaker.state).toBe('closed')
    await fails(breaker, 'fault')
    expect(breaker.state).toBe('open')
    now = 100
    await fails(breaker, 'none')
    expect(breaker.state).toBe('trial')
    await breaker.run(
      () => Promise.resolve(),
      () => 'fault',
    )
    expect(breaker.state).toBe('closed')
  })
})

describe('connect info', () => {
  const info = { instance_uuid: 'i', host: '10.0.0.5', port: 5900, internal_access_path: null }

  it.each([
    { host: null },
    { host: '' },
    { host: 'a b' },
    { host: 'http://x/' },
    { port: 0 },
    { port: 65536 },
    { port: 1.5 },
    { port: '5900' as unknown as number },
    { port: null },
    { internal_access_path: 5 as unknown as string },
    { instance_uuid: '' },
  ])('CVE-2026-42510 shell, client-chosen target: %j is refused', (fault) => {
    expect(() => admissionOf({ ...info, ...fault })).toThrow(expect.objectContaining({ name: 'UnusableConnectInfo' }))
  })

  it.each(['compute-1.example', '10.0.0.5', '2001:db8::5', 'fe80::1%eth0'])('accepts the host %s', (host) => {
    expect(admissionOf({ ...info, host })).toEqual({ instance: 'i', host, port: 5900 })
  })
})
