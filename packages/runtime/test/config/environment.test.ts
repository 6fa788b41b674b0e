import { describe, expect, test } from 'vitest'
import { faultsOf, load } from '../fixtures/config.ts'

describe('environment', () => {
  test('overrides the file and is converted by the schema', () => {
    const env = { ORIEL_TOKENS__TTL_SECONDS: '60', ORIEL_CONSOLES__NOVNC__ENABLED: 'true', ORIEL_LISTEN: '[::1]:1' }
    const config = load({ toml: 'listen = "h:1"\ntokens.ttl_seconds = 5\ntokens.store = "sqlite:x"', env })
    expect(config.tokens).toEqual({ ttl_seconds: 60, store: 'sqlite:x' })
    expect(config.consoles.novnc.enabled).toBe(true)
    expect(config.listen).toBe('[::1]:1')
  })

  test('sets keys with dashes and other signs', () => {
    const env = { ORIEL_CONSOLES__SPICE_HTML5__ENABLED: '1', ORIEL_POLICY__OS_COMPUTE_API_OS_CONSOLES: '["admin"]' }
    const config = load({ toml: '[policy]\n"os_compute_api:os-consoles" = []', env })
    expect(config.consoles['spice-html5'].enabled).toBe(true)
    expect(config.policy).toEqual({ 'os_compute_api:os-consoles': ['admin'] })
    expect(load({ env: { 'ORIEL_CONSOLES__SPICE-HTML5__ENABLED': 'on' } }).consoles['spice-html5'].enabled).toBe(true)
  })

  test('adds a record entry', () => {
    expect(load({ env: { ORIEL_POLICY__RULE__0: 'member', ORIEL_POLICY__RULE__1: 'admin' } }).policy).toEqual({
      rule: ['member', 'admin'],
    })
  })

  test('overrides, appends and replaces elements of a list', () => {
    const toml = '[[listeners]]\naddress = "h:1"\nconsoles = ["serial"]'
    const env = {
      ORIEL_LISTENERS__0__ADDRESS: 'h:9',
      ORIEL_LISTENERS__1__ADDRESS: 'h:2',
      ORIEL_LISTENERS__1__CONSOLES: '["a","b"]',
    }
    expect(load({ toml, env }).listeners).toEqual([
      { address: 'h:9', consoles: ['serial'] },
      { address: 'h:2', consoles: ['a', 'b'] },
    ])
    expect(load({ toml, env: { ORIEL_LISTENERS: '[{ address = "h:3" }]' } }).listeners).toEqual([
      { address: 'h:3', consoles: ['novnc'] },
    ])
  })

  test('orders elements of a list by number, from ten on too', () => {
    const env = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`ORIEL_POLICY__RULE__${i}`, `r${i}`]))
    expect(load({ env }).policy.rule).toEqual(Array.from({ length: 12 }, (_, i) => `r${i}`))
  })

  test('chooses the member of a union and sets its keys', () => {
    const env = { ORIEL_SOURCES__0__PORT: '5901', ORIEL_SOURCES__0__KIND: 'qemu', ORIEL_SOURCES__0__QMP: '/x' }
    expect(load({ env }).sources).toEqual([{ kind: 'qemu', qmp: '/x', port: 5901 }])
  })

  test('creates an optional table', () => {
    const env = { ORIEL_AUTHORITY__ENDPOINT: 'https://nova', ORIEL_AUTHORITY__TOKEN: '0123' }
    expect(load({ env }).authority?.token.reveal()).toBe('0123')
  })

  test('stays text for a key whose type is text', () => {
    expect(load({ env: { ORIEL_TOKENS__STORE: '12' } }).tokens.store).toBe('12')
  })

  test('is named with its key in a fault', () => {
    const env = {
      ORIEL_TOKENS__TTL_SECONDS: 'soon',
      ORIEL_CONSOLES__NOVNC__ENABLED: 'maybe',
      ORIEL_LISTENERS: 'a,b',
      ORIEL_AUTH: '{',
    }
    expect(faultsOf({ env })).toEqual([
      'tokens.ttl_seconds: "soon" is text, give a whole number of 1 or more (from ORIEL_TOKENS__TTL_SECONDS)',
      'auth: does not read as a table, write it as TOML in one line (from ORIEL_AUTH)',
      'consoles.novnc.enabled: "maybe" is text, give true or false (from ORIEL_CONSOLES__NOVNC__ENABLED)',
      'listeners: does not read as a list of tables, write it as TOML in one line (from ORIEL_LISTENERS)',
    ])
  })

  test.each([
    [
      { ORIEL_TOKENS__TTL_SECOND: '1' },
      'ORIEL_TOKENS__TTL_SECOND: sets no known key, the nearest known one is ORIEL_TOKENS__TTL_SECONDS for tokens.ttl_seconds',
    ],
    [
      { ORIEL_TOKENS_TTL_SECONDS: '1' },
      'ORIEL_TOKENS_TTL_SECONDS: sets no known key, the nearest known one is ORIEL_TOKENS__TTL_SECONDS for tokens.ttl_seconds',
    ],
    [{ ORIEL_LISTENERS__X: '1' }, /^ORIEL_LISTENERS__X: .* nearest known one is ORIEL_LISTENERS for listeners$/],
    [
      { ORIEL_LISTENERS__1__ADDRESS: 'h:1' },
      'ORIEL_LISTENERS__1: listeners[0] is missing, number the elements without gaps',
    ],
  ])('causes a fault for a variable that matches no key: %j', (env, line) => {
    expect(faultsOf({ env })[0]).toEqual(typeof line === 'string' ? line : expect.stringMatching(line))
  })

  test('cannot set a second key by an inline value', () => {
    expect(faultsOf({ env: { ORIEL_POLICY__RULE: '["a"]\nlisten = "h:1"' } })).toHaveLength(1)
  })

  test('ignores other variables, ignored names and service links of Kubernetes', () => {
    const env = {
      PATH: '/bin',
      ORIEL: 'x',
      ORIEL_LOG_LEVEL: 'debug',
      ORIEL_ENDPOINT: 'http://127.0.0.1:8774/v2.1',
      ORIEL_TOKEN: 's3cret',
      ORIEL_DEBUG: '1',
      ORIEL_BUILD: '7',
      ORIEL_API_SERVICE_HOST: '10.0.0.1',
      ORIEL_API_SERVICE_PORT_HTTP: '80',
      ORIEL_API_PORT: 'tcp://10.0.0.1:80',
      ORIEL_API_PORT_80_TCP_ADDR: '10.0.0.1',
    }
    expect(load({ env, ignoreEnv: ['ORIEL_BUILD'] })).toEqual(load({}))
    expect(faultsOf({ env })).toHaveLength(1)
  })
})

describe('keys that name a file', () => {
  const files: Record<string, string> = { '/etc/oriel/token': 's3cret\n', '/etc/oriel/ttl': '90\r\n' }
  const readFile = (path: string) => files[path] ?? missing(path)
  const baseDir = '/etc/oriel'
  const authority = '[authority]\nendpoint = "https://nova"\n'

  function missing(path: string): never {
    throw Object.assign(new Error(`ENOENT: ${path}`), { code: 'ENOENT' })
  }

  test('read their value from the file, relative to the configuration file', () => {
    const toml = `tokens.ttl_seconds_file = "ttl"\n${authority}token_file = "/etc/oriel/token"`
    const config = load({ toml, readFile, baseDir })
    expect(config.authority?.token.reveal()).toBe('s3cret')
    expect(config.tokens.ttl_seconds).toBe(90)
  })

  test('may come from the environment, which overrides the file', () => {
    const env = { ORIEL_AUTHORITY__TOKEN_FILE: 'token' }
    const config = load({ toml: `${authority}token = "old"`, env, readFile, baseDir })
    expect(config.authority?.token.reveal()).toBe('s3cret')
    const over = load({
      toml: `${authority}token_file = "token"`,
      env: { ORIEL_AUTHORITY__TOKEN: 'new' },
      readFile,
      baseDir,
    })
    expect(over.authority?.token.reveal()).toBe('new')
  })

  test('cause a fault beside the key itself', () => {
    const line = 'authority.token_file: token is given too, give one of token and token_file'
    expect(faultsOf({ toml: `${authority}token = "x"\ntoken_file = "token"`, readFile, baseDir })).toEqual([line])
    const env = { ORIEL_AUTHORITY__TOKEN: 'x', ORIEL_AUTHORITY__TOKEN_FILE: 'token' }
    expect(faultsOf({ toml: authority, env, readFile, baseDir })).toEqual([line])
  })

  test('cause one fault if the file cannot be read', () => {
    expect(faultsOf({ toml: `${authority}token_file = "gone"`, readFile, baseDir })).toEqual([
      'authority.token_file: cannot read the file that is named here (ENOENT; the name is not shown, in case it is the value itself), give the name of a file that this user may read',
    ])
    expect(faultsOf({ toml: '[tokens]\nstore_file = "/run/gone.txt"', readFile, baseDir })).toEqual([
      'tokens.store_file: cannot read "/run/gone.txt" (ENOENT), give a file that this user may read',
    ])
    expect(faultsOf({ toml: `${authority}token_file = 5`, readFile, baseDir })).toEqual([
      'authority.token_file: give the name of a file, as text',
    ])
  })

  test('are unknown keys if the schema has no such key', () => {
    expect(faultsOf({ toml: 'nothing_file = "x"', readFile })[0]).toContain('nothing_file: unknown key')
  })
})
