import * as Type from 'typebox'
import { describe, expect, it, test } from 'vitest'
import {
  canonicalHost,
  consoleHost,
  host,
  hostOrNetwork,
  hostRecord,
  listenAddress,
  loadConfig,
  network,
  parseHost,
  parseListen,
  pathPattern,
  pathPatterns,
  unixSocketPath,
  webUrl,
} from '../../src/index.ts'
import { faultsUnder } from '../fixtures/config.ts'

const schema = Type.Object({ host: host() })
const toml = (text: string) => `host = ${JSON.stringify(text)}`

describe('a host in the configuration', () => {
  it.each([
    ['10.0.0.5', '10.0.0.5'],
    ['[::1]', '::1'],
    ['2001:db8::5', '2001:db8::5'],
    ['[fe80::1%eth0]', 'fe80::1%eth0'],
    ['compute-1', 'compute-1'],
    ['Compute-1.Example.', 'Compute-1.Example.'],
    ['my_service', 'my_service'],
    ['1.example', '1.example'],
  ])('is read from %j as %j, from the file and from a variable', (text, read) => {
    expect(loadConfig(schema, { toml: toml(text) })).toEqual({ host: read })
    expect(loadConfig(schema, { env: { ORIEL_HOST: text } })).toEqual({ host: read })
  })

  it.each([
    ['http://10.0.0.5', 'is a URL, give the host alone: "10.0.0.5"'],
    ['http://[::1]:5900/x', 'is a URL, give the host alone: "::1"'],
    ['10.0.0.5:5901', 'has a port in it, give the host alone: "10.0.0.5"'],
    ['[::1]:5901', 'has a port in it, give the host alone: "::1"'],
    ['compute-1:', 'has a port in it, give the host alone: "compute-1"'],
    ['two words', 'has a blank in it, give one host, such as compute-1.example or 10.0.0.5'],
    ['h\n', 'has a blank in it'],
    ['a..b', 'has an empty part between dots'],
    ['.example', 'has an empty part between dots'],
    ['.', 'has an empty part between dots'],
    ['', 'has an empty part between dots'],
    ['10.0.0.300', 'is not an IPv4 address, give one such as 10.0.0.5'],
    ['10.0.0', 'is not an IPv4 address'],
    ['[10.0.0.5]', 'is not an IPv6 address, give one such as 2001:db8::5'],
    ['2001:db8', 'is not an IPv6 address'],
    ['fe80::zz', 'is not an IPv6 address'],
    ['10.0.0.0/8', 'has a slash in it'],
    ['console.example/vnc', 'has a slash in it'],
    ['müller.example', 'is not ASCII, give "xn--mller-kva.example"'],
    ['a$b', 'is not a host name'],
    [`${'a'.repeat(64)}.example`, 'is too long for a host name'],
  ])('causes a fault with a remedy: %j', (text, message) => {
    expect(faultsUnder(() => loadConfig(schema, { toml: toml(text) }))).toEqual([expect.stringContaining(message)])
  })

  it('is unchanged when it is read a second time', () => {
    for (const text of ['[::1]', '10.0.0.5', 'H.example']) expect(parseHost(parseHost(text))).toBe(parseHost(text))
  })
})

describe('a table whose keys are hosts', () => {
  const hosts = Type.Object({ hosts: hostRecord(Type.Object({ name: host() }), { default: {} }) })

  it('has canonical keys, so that any spelling of an address finds its entry', () => {
    const read = loadConfig(hosts, { toml: '[hosts]\n"[FD00:0::5]".name = "a"\n"Compute-1".name = "b"' })
    expect(read.hosts).toEqual({ 'fd00::5': { name: 'a' }, 'compute-1': { name: 'b' } })
    expect(canonicalHost('fd00:0:0::5')).toBe('fd00::5')
    expect(canonicalHost('COMPUTE-1.')).toBe('compute-1')
  })

  it('refuses keys that are not hosts, or name one host twice', () => {
    expect(faultsUnder(() => loadConfig(hosts, { toml: '[hosts]\n"10.0.0.5:5900".name = "a"' }))).toEqual([
      'hosts."10.0.0.5:5900": "10.0.0.5:5900" has a port in it, give the host alone: "10.0.0.5"',
    ])
    expect(faultsUnder(() => loadConfig(hosts, { toml: '[hosts]\n"::1".name = "a"\n"[::1]".name = "b"' }))).toEqual([
      'hosts: names "::1" twice, give it once',
    ])
  })
})

describe('a host of a console', () => {
  const read = (text: string) => loadConfig(Type.Object({ host: consoleHost() }), { toml: toml(text) })

  it('may be a Unix socket, whose path keeps its case', () => {
    expect(read('unix:/run/Oriel/web-1.sock')).toEqual({ host: 'unix:/run/Oriel/web-1.sock' })
    expect(canonicalHost('unix:/run/Oriel/a.')).toBe('unix:/run/Oriel/a.')
    expect(read('10.0.0.5')).toEqual({ host: '10.0.0.5' })
  })

  it.each([
    'unix:',
    'unix:a.sock',
    'unix:/',
    'unix:/run/',
    'unix://run/a.sock',
    'unix:/run/../a.sock',
    'unix:/run/./a.sock',
    'unix:/run/a\nb',
    `unix:/${'a'.repeat(107)}`,
    `unix:/${'ä'.repeat(54)}`,
  ])('is refused for the socket %j', (text) => {
    const remedy =
      'is not a Unix socket, give an absolute path of at most 107 bytes, such as unix:/run/oriel/web-1.sock'
    expect(faultsUnder(() => read(text))).toEqual([expect.stringContaining(remedy)])
  })

  it('may have a path of 107 bytes, and names that begin with dots', () => {
    for (const path of [`/${'a'.repeat(106)}`, '/.run/..a/...']) expect(unixSocketPath(`unix:${path}`)).toBe(path)
  })
})

describe('patterns of paths', () => {
  it.each([
    ['/run/oriel/*.sock', '/run/oriel/a.sock', true],
    ['/run/oriel/*.sock', '/run/oriel/.sock', true],
    ['/run/oriel/*.sock', '/run/oriel/a/b.sock', false],
    ['/run/oriel/*.sock', '/run/oriel/asock', false],
    ['/run/oriel/*.sock', '/run/oriel/a.sock/x', false],
    ['/run/oriel/*.sock', '/x/run/oriel/a.sock', false],
    ['/run/domain-*/vnc.sock', '/run/domain-1-web/vnc.sock', true],
    ['/run/domain-?/vnc.sock', '/run/domain-12/vnc.sock', false],
    ['/run/domain-?/vnc.sock', '/run/domain-//vnc.sock', false],
    ['/run/(a|b)+[c]$', '/run/(a|b)+[c]$', true],
    ['/run/(a|b)', '/run/a', false],
    ['/run/*', '/run/a\nb', true],
  ])('%s for %s: %s', (pattern, path, matches) => {
    expect(pathPatterns(['/other', pattern])(path)).toBe(matches)
  })

  it.each([
    ['oriel/*.sock', 'is not an absolute path'],
    ['/run/../*.sock', 'has . or .. in it'],
    ['/run//a', 'has an empty name between slashes'],
    ['/run/', 'has an empty name between slashes'],
    ['/run/**/a', 'has ** in it, but * stays within one folder'],
  ])('are refused: %s %s', (pattern, message) => {
    const patterns = Type.Object({ paths: Type.Array(pathPattern()) })
    const load = () => loadConfig(patterns, { toml: `paths = [${JSON.stringify(pattern)}]` })
    expect(faultsUnder(load)).toEqual([expect.stringContaining(`${message}, give one such as /run/oriel/*.sock`)])
  })
})

test.each([
  ['10.0.0.0/33', 'ends in /33, give at most /32 for IPv4'],
  ['fd00::/129', 'ends in /129, give at most /128 for IPv6'],
  ['10.0.0.0/x', 'is neither an address nor a CIDR, give one such as 10.0.0.1, 10.0.0.0/8 or fd00::/8'],
  ['proxy.example', 'is neither an address nor a CIDR'],
])('the network %j is a fault with a remedy', (text, message) => {
  const networks = Type.Object({ trusted: Type.Array(network()) })
  expect(faultsUnder(() => loadConfig(networks, { toml: `trusted = [${JSON.stringify(text)}]` }))).toEqual([
    expect.stringContaining(`trusted[0]: ${JSON.stringify(text)} ${message}`),
  ])
})

test('hostOrNetwork accepts hosts and networks', () => {
  const either = Type.Object({ to: Type.Array(hostOrNetwork()) })
  expect(loadConfig(either, { toml: 'to = ["10.0.0.0/8", "[::1]", "compute-2"]' })).toEqual({
    to: ['10.0.0.0/8', '::1', 'compute-2'],
  })
  expect(faultsUnder(() => loadConfig(either, { toml: 'to = ["10.0.0.0/33", "two words"]' }))).toEqual([
    'to[0]: "10.0.0.0/33" ends in /33, give at most /32 for IPv4',
    'to[1]: "two words" has a blank in it, give one host, such as compute-1.example or 10.0.0.5',
  ])
})

test.each([
  ['ftp://cloud.example', 'is not a web address, give an address that starts with http:// or https://'],
  ['http://two words', 'is not a web address'],
  ['https://h:99999/', 'is not a web address'],
  ['https://oriel:hunter2@cloud.example/', 'has a user or a password in it, give the address without them'],
])('the web address %j is a fault with a remedy, without its password', (text, message) => {
  const address = Type.Object({ endpoint: webUrl() })
  const faults = faultsUnder(() => loadConfig(address, { toml: `endpoint = ${JSON.stringify(text)}` }))
  expect(faults).toEqual([expect.stringContaining(message)])
  expect(faults.join()).not.toContain('hunter2')
})

test.each([
  ['[1:2:3]:80', 'has no IPv6 address in its brackets'],
  ['a..b:80', 'cannot be listened on: "a..b" has an empty part between dots'],
  ['10.0.0.300:80', 'cannot be listened on: "10.0.0.300" is not an IPv4 address'],
])('the listen address %j is a fault with a remedy', (text, message) => {
  const listen = Type.Object({ listen: listenAddress() })
  expect(faultsUnder(() => loadConfig(listen, { toml: `listen = "${text}"` }))).toEqual([
    expect.stringContaining(`listen: "${text}" ${message}`),
  ])
  expect(() => parseListen(text)).toThrow(message)
})
