import * as Type from 'typebox'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { listenAddress, loadConfig, parseListen, type Secret, secretString } from '../src/index.ts'
import { faultsOf, faultsUnder, load, schema } from './fixtures/config.ts'

describe('defaults', () => {
  test('are filled in for missing keys and tables', () => {
    expect(load({})).toEqual({
      listen: '127.0.0.1:8774',
      tokens: { store: 'sqlite:oriel.db', ttl_seconds: 600 },
      auth: { method: 'none' },
      consoles: { novnc: { enabled: false }, 'spice-html5': { enabled: false } },
      policy: {},
      listeners: [],
      sources: [],
    })
  })

  test('are filled in for tables inside a list and for the chosen union member', () => {
    const config = load({ toml: '[[listeners]]\naddress = "[::1]:0"\n[[sources]]\nkind = "qemu"\nqmp = "/run/*.qmp"' })
    expect(config.listeners).toEqual([{ address: '[::1]:0', consoles: ['novnc'] }])
    expect(config.sources).toEqual([{ kind: 'qemu', qmp: '/run/*.qmp', port: 5900 }])
  })

  test('are copied for each configuration', () => {
    expect(load({}).policy).not.toBe(load({}).policy)
    expect(Object.isFrozen((schema.properties.policy as { default?: unknown }).default)).toBe(false)
  })

  test('are applied to an optional table only if it is present', () => {
    const one = Type.Object({ tls: Type.Optional(Type.Object({ min: Type.String({ default: '1.2' }) })) })
    expect(loadConfig(one, {})).toEqual({})
    expect(loadConfig(one, { toml: '[tls]' })).toEqual({ tls: { min: '1.2' } })
  })
})

test('loadConfig freezes the result at every depth', () => {
  const config = load({ toml: '[policy]\nrule = ["member"]\n[[listeners]]\naddress = "h:1"' })
  expect(() => Object.assign(config.tokens, { ttl_seconds: 1 })).toThrow(TypeError)
  expect(() => (config.policy.rule as string[]).push('admin')).toThrow(TypeError)
  expect(() => (config.listeners as unknown[]).pop()).toThrow(TypeError)
  expect(Object.isFrozen(config.listeners[0])).toBe(true)
})

test('loadConfig returns the types of the schema, secrets included', () => {
  const config = load({})
  expectTypeOf(config.tokens.ttl_seconds).toEqualTypeOf<number>()
  expectTypeOf<NonNullable<typeof config.authority>['token']>().toEqualTypeOf<Secret>()
})

describe('faults', () => {
  test('are all collected, each with its key path and a remedy', () => {
    const toml = `
      listen = "nowhere"
      [tokens]
      ttl_seconds = 0
      store = 7
      [auth]
      method = "magic"
      [consoles.spice-html5]
      enabled = "yes"
      [authority]
      attempts = 1.5
      [policy]
      "os_compute_api:x" = "admin"`
    expect(faultsOf({ toml })).toEqual([
      'listen: "nowhere" does not fit, give host:port with a port from 0 to 65535, such as 127.0.0.1:6080 or [::1]:6080',
      'tokens.store: 7 is a whole number, give text',
      'tokens.ttl_seconds: 0 is too small, give a number of 1 or more',
      'auth.method: "magic" does not fit, give one of "none", "static"',
      'consoles.spice-html5.enabled: "yes" is text, give true or false',
      'policy."os_compute_api:x": "admin" is text, give a list',
      'authority.endpoint: missing, give text',
      'authority.token: missing, give text',
      'authority.attempts: 1.5 is a number, give a whole number',
    ])
  })

  test('include a value of the file with the wrong type, which is not converted', () => {
    expect(faultsOf({ toml: 'tokens.ttl_seconds = "60"' })).toEqual([
      'tokens.ttl_seconds: "60" is text, give a whole number of 1 or more',
    ])
  })

  test('include one for a value of the wrong shape, at its key', () => {
    expect(faultsOf({ toml: 'tokens = 5\nsources = "x"\nconsoles = []' })).toEqual([
      'tokens: 5 is a whole number, give a table',
      'consoles: [] is a list, give a table',
      'sources: "x" is text, give a list of tables',
    ])
    expect(faultsOf({ toml: '[listen]' })[0]).toMatch(/^listen: \{\} is a table, give host:port/)
  })

  test('in a discriminated union are those of the member with the given kind', () => {
    expect(faultsOf({ toml: '[[sources]]\nkind = "qemu"\nport = 70000\nname = "x"' })).toEqual([
      'sources[0].qmp: missing, give text',
      'sources[0].port: 70000 is too large, give a number from 1 to 65535',
      'sources[0].name: unknown key, the nearest known key is sources[0].qmp',
    ])
  })

  test('for an unknown or missing kind list the kinds', () => {
    expect(faultsOf({ toml: '[[sources]]\nkind = "vmware"\n[[sources]]\nname = "x"' })).toEqual([
      'sources[0].kind: "vmware" is not known, give one of "static", "qemu"',
      'sources[1].kind: missing, give one of "static", "qemu"',
    ])
  })

  test.each([
    ['[tokens]\nttl_second = 5', 'tokens.ttl_second: unknown key, the nearest known key is tokens.ttl_seconds'],
    ['ttl_seconds = 5', 'ttl_seconds: unknown key, the nearest known key is tokens.ttl_seconds'],
    ['[consoles.spice-html]\n', 'consoles.spice-html: unknown key, the nearest known key is consoles.spice-html5'],
    [
      '[[listeners]]\naddress="h:1"\nconsole=[]',
      'listeners[0].console: unknown key, the nearest known key is listeners[0].consoles',
    ],
  ])('for an unknown key name the nearest one: %j', (toml, line) => {
    expect(faultsOf({ toml })).toEqual([line])
  })

  test.each([
    [
      'a missing closing quote',
      '[tokens]\nstore = "sqlite:oriel.db\nttl_seconds = 9',
      [
        'line 2, column 25: this text has no closing quote, or a',
        '  2 | store = "sqlite:oriel.db',
        '    |                         ^',
      ],
    ],
    [
      'a missing opening quote',
      'listen = nowhere"',
      ['line 1, column 10: this is not a value; put text in quotes', '  1 | listen = nowhere"', '    |          ^'],
    ],
    [
      'a malformed number',
      '\tlisten = 127.0.0.1:1',
      [
        'line 1, column 16: this is not a number; put text in quotes',
        '  1 | \tlisten = 127.0.0.1:1',
        '    | \t              ^',
      ],
    ],
    [
      'an open table',
      '[tokens\nstore = "x"',
      ['line 1, column 8: the closing bracket of this table is missing', '  1 | [tokens', '    |        ^'],
    ],
    [
      'a file that is named',
      '[tokens]\nstore_file = "/run/x\n',
      [
        'line 2, column 21: this text has no closing quote',
        '  2 | store_file = "/run/x',
        '    |                     ^',
      ],
    ],
    [
      'a repeated key',
      'listen = "h:1"\nlisten = "h:2"',
      ['line 2, column 1: this key or table is defined twice', '  2 | listen = "h:2"', '    | ^'],
    ],
  ])('for a syntax error show the line, the position and a remedy: %s', (_, toml, lines) => {
    const faults = faultsOf({ toml })
    expect(faults).toHaveLength(1)
    expect(faults[0]!.slice(2).split('\n')).toEqual([expect.stringContaining(lines[0]!), ...lines.slice(1)])
  })

  test.each([
    ['of a file that is named for a secret', '[authority]\ntoken_file = "hunter2\n', 'line 2, column 22: '],
    ['of a secret', '[authority]\ntoken = hunter2-secret\n', 'line 2, column 9: this is not a value'],
    ['of a table with a secret', 'authority = { endpoint = "x", token = "hunter2\n', 'line 1, column 47: '],
    ['with a secret further on', 'listen = "h:1" token = "hunter2"', 'line 1, column 16: something follows the value'],
    ['of a key that is not known', '[authority]\ntokem = "hunter2\n', 'line 2, column 17: '],
    ['of text over many lines', '[authority]\ntoken = """\nhunter2=\\q\n"""', 'line 3, column 10: '],
    ['of a list over many lines', 'x = [\n["hunter2\n', 'line 2, column 10: '],
    ['with a password in a URL', 'listen = "http://a:hunter2@b\n', 'line 1, column 29: '],
  ])('for a syntax error do not show a line %s', (_, toml, beginning) => {
    expect(faultsOf({ toml })).toEqual([expect.stringMatching(new RegExp(`^: ${beginning}.+$`))])
  })

  test('include keys with names of Object.prototype as unknown keys', () => {
    const faults = faultsOf({ toml: 'constructor = 1\ntoString = 2\n__proto__ = 3' })
    expect(faults.map((line) => line.split(':')[0])).toEqual(['constructor', 'toString', '__proto__'])
    expect(loadConfig(Type.Record(Type.String(), Type.Number()), { toml: '__proto__ = 3' })).toHaveProperty(
      '__proto__',
      3,
    )
  })

  test('of refine are reported if each key is valid by itself', () => {
    const refine = () => [{ path: 'auth.method', message: 'none binds to loopback only, give another' }]
    expect(faultsOf({ refine })).toEqual(['auth.method: none binds to loopback only, give another'])
    expect(faultsOf({ refine, toml: 'listen = 1' })).toHaveLength(1)
  })

  test('of a whole list say what would fit', () => {
    const lists = Type.Object({
      some: Type.Array(Type.String(), { minItems: 1 }),
      set: Type.Array(Type.String(), { uniqueItems: true }),
    })
    expect(faultsUnder(() => loadConfig(lists, { toml: 'some = []\nset = ["a", "a"]' }))).toEqual([
      'some: [] has too few elements, give a list with 1 or more elements',
      'set: ["a","a"] names an element twice, give each element once',
    ])
  })

  test('do not concern a union of plain values and lists for either of them', () => {
    const either = Type.Object({
      size: Type.Union([Type.Integer({ minimum: 1 }), Type.Literal('auto'), Type.Array(Type.Integer())]),
    })
    expect(loadConfig(either, { toml: 'size = 3' })).toEqual({ size: 3 })
    expect(loadConfig(either, { toml: 'size = "auto"' })).toEqual({ size: 'auto' })
    expect(loadConfig(either, { env: { ORIEL_SIZE: '3' } })).toEqual({ size: 3 })
    expect(loadConfig(either, { env: { ORIEL_SIZE: '[1, 2]' } })).toEqual({ size: [1, 2] })
    expect(faultsUnder(() => loadConfig(either, { toml: 'size = 0' }))).toEqual([
      'size: 0 is too small, give a number of 1 or more',
    ])
    expect(faultsUnder(() => loadConfig(either, { toml: 'size = true' }))).toEqual([
      'size: true does not fit, give a whole number of 1 or more or "auto"',
    ])
  })
})

describe('secrets', () => {
  const token = 'hunter2-very-secret'
  const endpoint = 'endpoint = "https://nova"'

  test('are wrapped, so that printing them shows ***', () => {
    const config = load({ toml: `[authority]\n${endpoint}\ntoken = "${token}"` })
    expect(config.authority?.token.reveal()).toBe(token)
    expect(JSON.stringify(config)).not.toContain(token)
  })

  test.each([
    ['as a wrong type', `[authority]\n${endpoint}\ntoken = ["${token}"]`],
    ['in place of its table', `authority = "${token}"`],
    ['in a table that is a list', `[[authority]]\ntoken = "${token}"`],
    ['after a syntax error', `[authority]\ntoken = "${token}" trailing`],
    ['under an unknown key', `[authority]\n${endpoint}\ntoken = "x"\ntokem = "${token}"`],
  ])('are not quoted in a fault: %s', (_, toml) => {
    const faults = faultsOf({ toml })
    expect(faults.length).toBeGreaterThan(0)
    expect(faults.join()).not.toContain('hunter2')
  })

  test('are not quoted in a fault: too short, from the environment', () => {
    const short = Type.Object({ password: secretString({ minLength: 40 }) })
    expect(faultsUnder(() => loadConfig(short, { env: { ORIEL_PASSWORD: token } }))).toEqual([
      'password: the value is too short, give text of 40 characters or more (from ORIEL_PASSWORD)',
    ])
  })
})

describe('listen addresses', () => {
  test.each([
    ['127.0.0.1:6080', '127.0.0.1', 6080],
    ['[::1]:0', '::1', 0],
    ['[fe80::1%eth0]:65535', 'fe80::1%eth0', 65535],
    ['console.example:443', 'console.example', 443],
  ])('%s', (text, host, port) => {
    expect(parseListen(text)).toEqual({ host, port })
    expect(loadConfig(Type.Object({ a: listenAddress() }), { toml: `a = "${text}"` })).toEqual({ a: text })
  })

  test.each([
    '',
    ':80',
    'host',
    'host:',
    'host:65536',
    'host:-1',
    '::1:80',
    'http://h:1',
    'h:1/',
    '[::1]',
    'h h:1',
    'h:1\n',
  ])('refuses %j', (text) => {
    expect(() => parseListen(text)).toThrow(/give host:port/)
    expect(faultsOf({ toml: `listen = ${JSON.stringify(text)}` })).toHaveLength(1)
  })
})
