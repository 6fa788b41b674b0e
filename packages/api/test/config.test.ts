import { extensionRoutes, routes } from '@oriel/contract'
import { ConfigError, type ConfigFault, loadConfig, sha256Hex } from '@oriel/runtime'
import { describe, expect, test } from 'vitest'
import {
  ApiConfig,
  createNoAuthenticator,
  createStaticAuthenticator,
  refineApiConfig,
  Unauthenticated,
} from '../src/index.ts'
import { policyDefaults, policyFallbacks } from '../src/policy/rules.ts'
import { authenticatorSuite } from './auth/authenticator.suite.ts'

const load = (toml: string, env = {}) => loadConfig(ApiConfig, { toml, env, refine: refineApiConfig })
const NONE = 'auth.method = "none"\n'

function faults(toml: string): readonly ConfigFault[] {
  try {
    load(toml)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
}

describe('configuration', () => {
  test('needs only a method of authentication', () => {
    const config = load(NONE)
    expect(config).toMatchObject({
      listen: '127.0.0.1:8774',
      policy: policyDefaults,
      tokens: { pool_max: 10, statement_timeout_ms: 5000, ttl_seconds: 600 },
      cors: { allowed_origins: [] },
      sources: [],
    })
    expect(
      Object.entries(config.consoles)
        .filter(([, { enabled }]) => !enabled)
        .map(([type]) => type),
    ).toEqual(['webmks'])
    expect(config.tokens.store.reveal()).toBe('sqlite:oriel.db')
    expect(config.consoles.novnc.base_url).toBe('http://127.0.0.1:6080/vnc_lite.html')
  })

  test('has every rule that a route names', () => {
    const named = Object.values({ ...routes, ...extensionRoutes }).flatMap((route) =>
      'policy' in route ? [route.policy] : [],
    )
    expect(new Set(named)).toEqual(new Set(Object.keys({ ...policyDefaults, ...policyFallbacks })))
  })

  test('is overridden by the environment', () => {
    expect(load(`${NONE}tokens.ttl_seconds = 5`, { ORIEL_TOKENS__TTL_SECONDS: '60' }).tokens.ttl_seconds).toBe(60)
  })

  const server = (id: string) => `[[sources.servers]]\nid = "${id}"\nname = "n"\nproject_id = "p"\n`
  const STATIC = '[[sources]]\nkind = "static"\n'

  test.each([
    ['no method', '', 'auth.method', ''],
    ['static without tokens', 'auth.method = "static"', 'auth.static', '[[auth.static.tokens]]'],
    ['none beyond loopback', `listen = "0.0.0.0:8774"\n${NONE}`, 'listen', '127.0.0.1'],
    [
      'a rule that is misspelt',
      `${NONE}[policy]\n"os_compute_api:os-remote-console" = []`,
      'policy."os_compute_api:os-remote-console"',
      'os_compute_api:os-remote-consoles',
    ],
    [
      'a base URL without a scheme',
      `${NONE}consoles.novnc.base_url = "h/vnc.html"`,
      'consoles.novnc.base_url',
      'http://',
    ],
    [
      'a base URL that runs code',
      `${NONE}consoles.serial.base_url = "javascript:alert(1)"`,
      'consoles.serial.base_url',
      'ws://',
    ],
    [
      'a page’s address that is no page',
      `${NONE}consoles.novnc.base_url = "wss://c.example/vnc.html"`,
      'consoles.novnc.base_url',
      'https://',
    ],
    ['a static source of nothing', `${NONE}${STATIC}`, 'sources[0]', '[[sources.servers]]'],
    [
      'one id twice in a source',
      `${NONE}${STATIC}${server('a')}${server('a')}`,
      'sources[0].servers[1].id',
      'sources[0].servers[0]',
    ],
    ['a malformed public_url', `public_url = "api"\n${NONE}`, 'public_url', 'http'],
    [
      'an origin with a slash',
      `${NONE}cors.allowed_origins = ["https://a.example/"]`,
      'cors.allowed_origins[0]',
      'drop the slash: "https://a.example"',
    ],
    [
      'an origin with a path',
      `${NONE}cors.allowed_origins = ["https://a.example/portal"]`,
      'cors.allowed_origins[0]',
      'give scheme, host and port alone: "https://a.example"',
    ],
    ...['http://10.0.0.5', '10.0.0.5:5901', 'two words', 'a..b'].flatMap((host) => [
      [
        `a console at ${host}`,
        `${NONE}${STATIC}${server('a')}consoles.vnc = { host = "${host}", port = 5900 }`,
        'sources[0].servers[0].consoles.vnc.host',
        host.startsWith('http') || host.endsWith('5901') ? 'give the host alone: "10.0.0.5"' : 'compute-1.example',
      ],
      [
        `a libvirt source at ${host}`,
        `${NONE}[[sources]]\nkind = "libvirt"\nuri = "qemu:///system"\nproject_id = "p"\nhost = "${host}"`,
        'sources[0].host',
        '',
      ],
      [
        `a QEMU source at ${host}`,
        `${NONE}[[sources]]\nkind = "qemu"\nqmp = "/run/*.qmp"\nproject_id = "p"\nhost = "${host}"`,
        'sources[0].host',
        '',
      ],
    ]),
    ['every origin', `${NONE}cors.allowed_origins = ["*"]`, 'cors.allowed_origins[0]', ''],
    [
      'a longest lifetime below the standard one',
      `${NONE}tokens.max_ttl_seconds = 599`,
      'tokens.max_ttl_seconds',
      'give at least 600',
    ],
    ['a store of another kind', `${NONE}tokens.store = "redis://h"`, 'tokens.store', 'sqlite:FILE'],
    [
      'a digest that is a token',
      'auth.method = "static"\n[[auth.static.tokens]]\nsha256 = "secret"\nuser_id = "u"\nroles = []',
      'auth.static.tokens[0].sha256',
      'sha256sum',
    ],
    [
      'a file of CAs for Keystone that is not there',
      `auth.method = "keystone"\n[auth.keystone]\nauth_url = "https://k"\nusername = "u"\npassword = "p"\nproject_id = "p"\ncafile = "/no/such/ca.pem"`,
      'auth.keystone.cafile',
      'ENOENT), give a PEM file',
    ],
    [
      'a file of CAs for JWT without a certificate',
      `auth.method = "jwt"\n[auth.jwt]\nissuer = "https://id.example"\naudience = "oriel"\ncafile = "/dev/null"`,
      'auth.jwt.cafile',
      'it contains no certificate',
    ],
    [
      'one id twice',
      `${NONE}${STATIC}${server('a')}${STATIC}${server('b')}${server('a')}`,
      'sources[1].servers[1].id',
      'sources[0].servers[0]',
    ],
    [
      'SPICE without a port',
      `${NONE}${STATIC}${server('a')}consoles.spice = { host = "h" }`,
      'sources[0].servers[0].consoles.spice',
      'tls_port',
    ],
    ['an unknown status', `${NONE}${STATIC}${server('a')}status = "RUNNING"`, 'sources[0].servers[0].status', 'ACTIVE'],
    ['an unknown key', `${NONE}tokens.ttl_second = 5`, 'tokens.ttl_second', 'ttl_seconds'],
    [
      'a device as file of CAs for Keystone',
      `auth.method = "keystone"\n[auth.keystone]\nauth_url = "https://k"\nusername = "u"\npassword = "p"\nproject_id = "p"\ncafile = "/dev/zero"`,
      'auth.keystone.cafile',
      'it has more than 16 MiB), give a PEM file',
    ],
  ])('has a fault with key and remedy for %s', (_, toml, path, remedy) => {
    const [fault, ...others] = faults(toml)
    expect(fault?.path).toBe(path)
    expect(fault?.message).toContain(remedy)
    expect(others).toEqual([])
  })

  describe('roles', () => {
    const tokens = (...roles: string[]) => `auth.method = "static"
[[auth.static.tokens]]
sha256 = "${'0'.repeat(64)}"
user_id = "alice"
roles = ${JSON.stringify(roles)}
`
    const warnings = (toml: string) => {
      const found: string[] = []
      const onWarning = ({ path, message }: ConfigFault) => void found.push(`${path}: ${message}`)
      const config = loadConfig(ApiConfig, { toml, refine: refineApiConfig, onWarning })
      return { config, found }
    }

    test('are compared in lower case, in tokens and in rules', () => {
      const { config, found } = warnings(`${tokens('Service')}[policy]\n"os_compute_api:servers:show" = ["Service"]`)
      expect(config.auth.static?.tokens[0]?.roles).toEqual(['service'])
      expect(config.policy['os_compute_api:servers:show']).toEqual(['service'])
      expect(found).toEqual([])
    })

    test('give a warning that lists the roles of rules, if no rule names the role of a static token', () => {
      expect(warnings(tokens('member', 'sevrice')).found).toEqual([
        'auth.static.tokens[0].roles[1]: "sevrice": no rule of policy names it; rules name admin, member, reader, service',
      ])
    })

    test('give a warning if no static token has the role of a rule, except for the usual roles', () => {
      const rule = '[policy]\n"os_compute_api:servers:show" = ["reader", "operator"]'
      expect(warnings(tokens('member') + rule).found).toEqual([
        'policy."os_compute_api:servers:show"[1]: "operator": no token of auth.static has it',
      ])
      expect(warnings(tokens('Operator') + rule).found).toEqual([])
      expect(warnings(NONE + rule).found).toEqual([])
    })

    test('are refused with a blank around them', () => {
      expect(faults(tokens('member '))).toEqual([
        {
          path: 'auth.static.tokens[0].roles[0]',
          message: '"member " begins or ends with a blank, give the name of a role alone',
        },
      ])
    })
  })

  test('accepts brackets around a console’s IPv6 host and removes them', () => {
    const { sources } = load(`${NONE}${STATIC}${server('a')}consoles.vnc = { host = "[::1]", port = 5900 }`)
    expect(sources).toMatchObject([{ servers: [{ consoles: { vnc: { host: '::1' } } }] }])
  })

  test('accepts a WebSocket or a page for a serial console', () => {
    for (const url of ['wss://c.example/', 'wss://c.example/serial_auto.html', 'https://c.example/serial_auto.html']) {
      expect(faults(`${NONE}consoles.serial.base_url = "${url}"`)).toEqual([])
    }
  })

  test('accepts any name of loopback without authentication', () => {
    for (const listen of ['127.0.0.1:0', '127.1.2.3:0', '[::1]:0', 'localhost:0']) {
      expect(faults(`listen = "${listen}"\n${NONE}`)).toEqual([])
    }
    expect(faults(`listen = "127.0.0.1.example:0"\n${NONE}`)).toHaveLength(1)
  })
})

authenticatorSuite('static', async () => {
  const entry = (token: string) => ({ sha256: sha256Hex(token), user_id: 'alice', roles: ['member'] })
  const authenticator = createStaticAuthenticator({
    tokens: [{ ...entry('open sesame'), project_id: 'p' }, entry('no project')],
  })
  return {
    authenticator,
    known: { token: 'open sesame', identity: { userId: 'alice', projectId: 'p', roles: ['member'] } },
    withoutProject: 'no project',
    unknown: 'open barley',
    [Symbol.asyncDispose]: () => authenticator[Symbol.asyncDispose](),
  }
})

describe('authenticators', () => {
  const headers = new Headers()
  const member = {
    sha256: sha256Hex('open sesame').toUpperCase(),
    user_id: 'alice',
    project_id: 'p',
    roles: ['member'],
  }
  const lonely = { sha256: sha256Hex('no project'), user_id: 'una', roles: [] }

  test('static finds tokens by their digests, in either case', async () => {
    await using authenticator = createStaticAuthenticator({ tokens: [lonely, member] })
    expect(await authenticator.authenticate({ token: 'open sesame', headers })).toEqual({
      userId: 'alice',
      projectId: 'p',
      roles: ['member'],
    })
    expect(await authenticator.authenticate({ token: 'no project', headers })).toEqual({ userId: 'una', roles: [] })
  })

  test.each([
    ['no token', {}],
    ['an empty token', { token: '' }],
    ['another token', { token: 'open sesame ' }],
    ['the digest itself', { token: member.sha256 }],
    ['a bad service token beside a good token', { token: 'open sesame', serviceToken: 'x' }],
    ['an empty service token beside a good token', { token: 'open sesame', serviceToken: '' }],
    ['a service token alone', { serviceToken: 'open sesame' }],
  ])('static refuses %s', async (_, tokens) => {
    await using authenticator = createStaticAuthenticator({ tokens: [member] })
    await expect(authenticator.authenticate({ ...tokens, headers })).rejects.toThrow(Unauthenticated)
  })

  test.each([
    ['the public URL', {}, 'http://h:8774'],
    ['what is configured', { www_authenticate_uri: 'https://id.example' }, 'https://id.example'],
  ])('static challenges with %s', async (_, options, uri) => {
    await using authenticator = createStaticAuthenticator({ tokens: [member], ...options }, 'http://h:8774')
    expect(authenticator.wwwAuthenticate).toBe(`Keystone uri="${uri}"`)
  })

  test('none treats every caller as the same administrator', async () => {
    await using authenticator = createNoAuthenticator()
    const first = await authenticator.authenticate({ headers })
    expect(first.roles).toContain('admin')
    expect(await authenticator.authenticate({ token: 'x', headers })).toBe(first)
  })
})

describe('tables of methods that are not chosen', () => {
  test('may be incomplete', () => {
    const toml = `
[auth]
method = "static"
[[auth.static.tokens]]
sha256 = "${'0'.repeat(64)}"
user_id = "alice"
project_id = "p"
roles = ["member"]
[auth.keystone]
auth_url = "https://keystone.example/v3"`
    expect(() => loadConfig(ApiConfig, { toml, refine: refineApiConfig })).not.toThrow()
    const chosen = toml.replace('"static"', '"keystone"')
    expect(() => loadConfig(ApiConfig, { toml: chosen, refine: refineApiConfig })).toThrow(
      /auth\.keystone: no credential/,
    )
  })
})

describe('durations', () => {
  /** Not waited for, but compared with the clock. */
  const UNTIMED = ['ttl_seconds', 'max_ttl_seconds']

  test('are limited to the range of a timer, since a longer one would fire at once', () => {
    const spans = timeSpans(ApiConfig as SchemaView)
    expect(spans.length).toBeGreaterThan(15)
    const tooLong = spans.filter(({ key, maximum = Number.POSITIVE_INFINITY }) => {
      const milliseconds = maximum * (key.endsWith('_ms') ? 1 : 1000)
      return !UNTIMED.includes(key) && milliseconds > 2 ** 31 - 1
    })
    expect(tooLong).toEqual([])
  })
})

interface SchemaView {
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, SchemaView>>
  readonly items?: SchemaView
  readonly anyOf?: readonly SchemaView[]
}

/** Every key of a schema, at any depth, that holds a time span. */
function timeSpans({ properties = {}, items, anyOf = [] }: SchemaView): readonly { key: string; maximum?: number }[] {
  const below = [...Object.values(properties), ...(items ? [items] : []), ...anyOf].flatMap(timeSpans)
  const own = Object.entries(properties).filter(([key]) => /_(seconds|ms)$/.test(key))
  return [...own.map(([key, { maximum }]) => ({ key, ...(maximum !== undefined && { maximum }) })), ...below]
}
