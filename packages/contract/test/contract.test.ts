import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  accessUrl,
  at,
  closeReason,
  closeReasons,
  consoleTypes,
  EARLIEST,
  faultBody,
  LATEST,
  microversions,
  openableConsoleTypes,
  openapi,
  opens,
  project,
  REFUSALS_SUBPROTOCOL,
  type RefusalName,
  readFault,
  refusal,
  refusalClose,
  refusals,
  routes,
  tokenOf,
  versionDocument,
  versionList,
} from '../src/index.ts'

describe('access URLs', () => {
  const t = '9f8c5b3e-0d3e-4b0c-9d53-0c6d0a4f1f6e'
  it.each([
    ['novnc', 'http://h:6080/vnc_lite.html', `http://h:6080/vnc_lite.html?path=%3Ftoken%3D${t}`],
    [
      'novnc',
      'http://h:6080/vnc.html?path=websockify&autoconnect=true&empty=#top',
      `http://h:6080/vnc.html?path=websockify%3Ftoken%3D${t}&autoconnect=true#top`,
    ],
    ['serial', 'ws://127.0.0.1:6083/', `ws://127.0.0.1:6083/?token=${t}`],
    ['spice-html5', 'http://h/spice_auto.html?x=1', `http://h/spice_auto.html?x=1?token=${t}`],
    ['spice-direct', 'http://127.0.0.1:13002/nova', `http://127.0.0.1:13002/nova?token=${t}`],
  ] as const)('are built for %s at %s', (type, base, url) => {
    expect(accessUrl(type, base, t)).toBe(url)
  })

  it.each([
    ['novnc', 'http://h/vnc_lite.html', `http://h/vnc_lite.html?path=%3Fserver%3Da%252F%2526b%26token%3D${t}`],
    ['novnc', 'http://h/vnc.html?path=w', `http://h/vnc.html?path=w%3Fserver%3Da%252F%2526b%26token%3D${t}`],
    ['serial', 'ws://h/', `ws://h/?server=a%2F%26b&token=${t}`],
    ['spice-html5', 'http://h/spice_auto.html', `http://h/spice_auto.html?server=a%2F%26b&token=${t}`],
  ] as const)('of %s at %s carry the id of the server before the token', (type, base, url) => {
    expect(accessUrl(type, base, t, 'a/&b')).toBe(url)
  })

  it('give the token back to tokenOf in either form', () => {
    for (const type of openableConsoleTypes)
      for (const server of [undefined, 'server-1'])
        expect(tokenOf(accessUrl(type, 'https://h/page', t, server))).toBe(t)
    expect(tokenOf('https://h/page?path=websockify')).toBeUndefined()
    expect(tokenOf('https://h/?token=a&token=b')).toBe('b')
  })
})

describe('the console-type table', () => {
  it('opens only pairs that fit and are not refused', () => {
    const rows = Object.entries<{ protocol: string; refused?: string }>(consoleTypes)
    const protocols = new Set(rows.map(([, { protocol }]) => protocol))
    for (const [type, row] of rows) {
      const opening = [...protocols].filter((protocol) => opens(protocol, type))
      expect(opening, type).toEqual(row.refused === undefined ? [row.protocol] : [])
    }
    expect(openableConsoleTypes).toContain('novnc')
    expect(openableConsoleTypes).not.toContain('xvpvnc')
    expect(opens('vnc', 'toString')).toBe(false)
  })
})

describe('projection', () => {
  const connectInfo = {
    console: { tls_port: 5901, host: 'h', port: 5900, instance_uuid: 'i', internal_access_path: null, base_url: 'x' },
  }
  it('removes members that the microversion does not have', () => {
    const schema = (v: '2.31' | '2.99') => at(routes.showConsoleAuthToken.response, v)
    expect(Object.keys((project(schema('2.31'), connectInfo) as typeof connectInfo).console)).toEqual([
      'instance_uuid',
      'host',
      'port',
      'internal_access_path',
    ])
    expect(project(schema('2.99'), connectInfo)).toMatchObject({ console: { tls_port: 5901 } })
  })

  it('chooses the member of a union that exists at the microversion, and keeps open objects', () => {
    const flavor = {
      id: '1',
      links: [],
      vcpus: 1,
      ram: 64,
      disk: 0,
      ephemeral: 0,
      swap: 0,
      original_name: 'n',
      extra_specs: { a: '1' },
    }
    const show = (v: '2.46' | '2.47') => project(at(routes.showServer.response, v), { server: { flavor } })
    expect(show('2.46')).toEqual({ server: { flavor: { id: '1', links: [] } } })
    expect(show('2.47')).toMatchObject({ server: { flavor: { original_name: 'n', extra_specs: { a: '1' } } } })
    expect(show('2.47')).not.toHaveProperty('server.flavor.id')
  })
})

describe('faults', () => {
  it.each([
    [400, 'badRequest'],
    [406, 'computeFault'],
    [409, 'conflictingRequest'],
    [413, 'overLimit'],
    [421, 'misdirectedRequest'],
    [500, 'computeFault'],
    [503, 'serviceUnavailable'],
  ])('of status %i have the key %s', (status, key) => {
    expect(faultBody(status, 'm')).toEqual({ [key]: { code: status, message: 'm' } })
    expect(readFault(faultBody(status, 'm'))).toEqual({ key, detail: { code: status, message: 'm' } })
  })

  it('are read from responses of Keystone and WebOb, and not invented for others', () => {
    expect(readFault({ error: { code: 401, title: 'Unauthorized', message: 'no' } })?.detail).toEqual({
      code: 401,
      message: 'no',
    })
    expect(readFault({ message: 'gone', code: '404 Not Found', title: 'x' })?.detail).toEqual({
      code: 404,
      message: 'gone',
    })
    const odd = { code: { valueOf: 0, toString: 0 }, message: 'no number can be made of it' }
    const bodies = [null, 'text', [], {}, { a: 1 }, { badRequest: null }, odd, { badRequest: odd }]
    for (const body of bodies) expect(readFault(body)).toBeUndefined()
    fc.assert(
      fc.property(fc.anything(), (body) => void readFault(body)),
      { numRuns: 1000, seed: 7 },
    )
  })
})

describe('version documents', () => {
  it('contain the range of microversions and the base URL', () => {
    expect(versionList('http://h').versions).toEqual([
      expect.objectContaining({
        id: 'v2.1',
        version: LATEST,
        min_version: EARLIEST,
        links: [{ rel: 'self', href: 'http://h/v2.1/' }],
      }),
    ])
    expect(versionDocument('http://h')['media-types']).toEqual([
      { base: 'application/json', type: 'application/vnd.openstack.compute+json;version=2.1' },
    ])
  })
})

describe('OpenAPI', () => {
  it('has at every microversion the operations that exist there', () => {
    for (const v of microversions) {
      const { paths, info } = openapi(v) as { paths: Record<string, object>; info: { version: string } }
      const minor = Number(v.slice(2))
      expect(info.version).toBe(v)
      expect('/servers/{server_id}/remote-consoles' in paths).toBe(minor >= 6)
      expect('/os-console-auth-tokens/{console_token}' in paths).toBe(minor >= 31)
      expect(JSON.stringify(paths).includes('spice-direct')).toBe(minor >= 99)
    }
  })

  it('merges the actions of one path', () => {
    const { paths } = openapi('2.1') as { paths: { [p: string]: { post: { requestBody: { content: object } } } } }
    const { content } = paths['/servers/{server_id}/action']!.post.requestBody
    expect(content).toMatchObject({ 'application/json': { schema: { oneOf: { length: 5 } } } })
  })
})

describe('close reasons and refusals', () => {
  it('fit into a close frame and have codes that may be sent', () => {
    for (const { code, text } of Object.values(closeReasons)) {
      expect(new TextEncoder().encode(text).length).toBeLessThanOrEqual(123)
      expect([1000, 1001, 1002, 1009, 1011].includes(code) || (code >= 4000 && code < 5000)).toBe(true)
    }
    for (const [name, { status, text }] of Object.entries(refusals)) {
      const { code, reason } = refusalClose(name as RefusalName, { retryAfterSeconds: 86_400 })
      expect(code).toBe(4000 + status)
      expect(reason).toBe(`${name} retry=86400: ${text}`)
      expect(new TextEncoder().encode(reason).length).toBeLessThanOrEqual(123)
    }
  })

  it('has different close codes for close reasons and refusals', () => {
    const own = new Set<number>(Object.values(closeReasons).map(({ code }) => code))
    for (const { status } of Object.values(refusals)) expect(own).not.toContain(4000 + status)
  })

  it('reads every refusal from its close event, with its remedy', () => {
    for (const name of Object.keys(refusals) as RefusalName[]) {
      const { code, reason } = refusalClose(name)
      const { text, remedy, retryAfterSeconds } = refusal(name)
      expect(closeReason(code, reason)).toEqual({
        ...{ code, text, remedy, refusal: name },
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
      })
    }
  })

  it('carries the label of the viewer who has the console, and leaves out one that does not fit', () => {
    const named = refusalClose('in_use', { by: 'Zoë <b>\ud800' })
    expect(closeReason(named.code, named.reason)).toMatchObject({ refusal: 'in_use', by: 'Zoë <b>\ufffd' })
    const watching = refusalClose('in_use', { by: 'Zoë', watches: true })
    expect(watching.reason).toBe(
      'in_use role=watch by=Zo%C3%AB: Another client has this console. Try again once it is free.',
    )
    expect(closeReason(watching.code, watching.reason)).toMatchObject({ refusal: 'in_use', by: 'Zoë', watches: true })
    expect(refusalClose('too_many', { watches: true })).toEqual(refusalClose('too_many'))
    const long = refusalClose('in_use', { by: 'a'.repeat(64) })
    expect(long).toEqual(refusalClose('in_use'))
    expect(closeReason(long.code, long.reason)).not.toHaveProperty('by')
  })

  it('carries the wait and the origin of a refusal, and leaves out an origin that does not fit', () => {
    const late = refusalClose('too_many_attempts', { retryAfterSeconds: 12 })
    expect(closeReason(late.code, late.reason)).toMatchObject({ refusal: 'too_many_attempts', retryAfterSeconds: 12 })
    const foreign = refusalClose('foreign_origin', { allow: 'https://portal.example' })
    expect(closeReason(foreign.code, foreign.reason)).toMatchObject({ allow: 'https://portal.example' })
    const long = refusalClose('foreign_origin', { allow: `https://${'a'.repeat(100)}.example` })
    expect(long.reason).toBe(`foreign_origin: ${refusals.foreign_origin.text}`)
  })

  it.each([
    ['a name of a newer proxy', 4409, 'newer_name: Something new.', { text: 'Something new.', remedy: 'new-console' }],
    ['another server', 4503, 'Go away', { text: 'Go away', remedy: 'reconnect' }],
    ['no reason', 4400, '', { text: '', remedy: 'none' }],
    [
      'a label that is not encoded well',
      4409,
      'in_use by=%zz: No.',
      { text: 'No.', remedy: 'none', refusal: 'in_use' },
    ],
    ['markup as an origin', 4403, 'foreign_origin allow=https://<b>: No.', { text: 'No.', remedy: 'none' }],
    ['a member of every object', 4403, 'constructor: No.', { text: 'No.', remedy: 'new-console' }],
  ] as const)('reads a refusal with %s', (_, code, reason, meaning) => {
    expect(closeReason(code, reason)).toEqual({
      code,
      ...meaning,
      ...(reason.startsWith('foreign') ? { refusal: 'foreign_origin' } : {}),
    })
  })

  it('does not throw for any close event', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4999 }), fc.string({ unit: 'binary' }), (code, reason) => {
        expect([undefined, code]).toContain(closeReason(code, reason)?.code)
      }),
    )
  })

  it('are recognised by code and text', () => {
    for (const reason of Object.values(closeReasons)) expect(closeReason(reason.code, reason.text)).toEqual(reason)
    expect(closeReason(4321)).toBeUndefined()
  })

  it('are all in the documentation, which has no others', () => {
    const page = readFileSync(new URL('../../../docs/close-reasons.md', import.meta.url), 'utf8')
    const cells = (line: string) => line.split('|').map((cell) => cell.trim())
    const rows = [...page.matchAll(/^\| `[a-z_]+` \|.*$/gm)].map(([line]) => cells(line).slice(1))
    const words = { none: 'nothing', reconnect: 'open the same address again', 'new-console': 'ask for a new console' }
    const catalogue = [
      ...Object.entries(closeReasons).map(([name, { code, text, remedy }]) => [name, code, text, words[remedy]]),
      ...(Object.keys(refusals) as RefusalName[]).map((name) => {
        const { status, text, remedy } = refusal(name)
        return [name, status, refusalClose(name).code, text, words[remedy]]
      }),
    ]
    const documented = rows.map(([name, ...more]) => [name!.replaceAll('`', ''), ...more.slice(0, -2)])
    expect(documented).toEqual(catalogue.map((row) => row.map(String)))
    expect(page).toContain(`\`${REFUSALS_SUBPROTOCOL}\``)
  })
})

it('has version numbers in microversions.ts alone', () => {
  const sources = [
    'access-url',
    'calls',
    'close-reasons',
    'console-types',
    'extension',
    'extension-examples',
    'extension-openapi',
    'faults',
    'negotiate',
    'openapi',
    'openapi-parts',
    'project',
    'refusals',
    'versioned',
    'versions',
  ]
  for (const name of sources) {
    const text = readFileSync(new URL(`../src/${name}.ts`, import.meta.url), 'utf8')
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
    expect(code.match(/\b2\.\d+/g) ?? [], name).toEqual([])
  }
})
