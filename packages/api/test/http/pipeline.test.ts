import { createLogger } from '@oriel/runtime'
import { describe, expect, test } from 'vitest'
import { combineSources, SourcePartlyUnavailable, StoreUnavailable } from '../../src/index.ts'
import { actionPath, consolesPath, fakeSource, PROJECT, remoteConsole, testApi, tokenPath } from '../support.ts'

const console = remoteConsole('vnc', 'novnc')
const unknownServer = consolesPath('00000000-0000-4000-8000-000000000000')
const tooLarge = ' '.repeat(114_689)

describe('the order of checks', () => {
  // Every request but the last is wrong in two ways; the earlier check answers.
  const table = [
    ['body size before token', consolesPath(), { headers: { 'X-Auth-Token': 'nobody' }, raw: tooLarge }, 413],
    ['token before route', '/v2.1/nope', { headers: { 'X-Auth-Token': 'nobody' } }, 401],
    ['token before version', consolesPath(), { headers: { 'X-Auth-Token': 'nobody' }, version: 'x' }, 401],
    ['route before version', '/v2.1/nope', { version: 'banana' }, 404],
    [
      'version before content type',
      consolesPath(),
      { version: 'x', headers: { 'Content-Type': 'text/xml' }, raw: '' },
      400,
    ],
    ['unsupported version before JSON', consolesPath(), { version: '2.999', raw: 'nope' }, 406],
    ['content type before JSON', consolesPath(), { headers: { 'Content-Type': 'text/xml' }, raw: 'nope' }, 415],
    ['content type before action', actionPath(), { headers: { 'Content-Type': 'text/xml' }, raw: '{"x":1}' }, 415],
    ['JSON before life of the route', consolesPath(), { version: '2.5', raw: 'nope' }, 400],
    ['project before life of the route', `/v2.1/abc/servers/x/remote-consoles`, { version: '2.5', body: {} }, 400],
    ['life of the route before schema', consolesPath(), { version: '2.5', body: {} }, 404],
    ['schema before server', unknownServer, { version: '2.6', body: {} }, 400],
    ['server before policy', unknownServer, { version: '2.6', body: console, as: 'reader' }, 404],
    [
      'policy before server, for an action',
      actionPath('x'),
      { body: { 'os-getVNCConsole': { type: 'novnc' } }, as: 'reader' },
      403,
    ],
    ['nothing wrong', consolesPath(), { version: '2.6', body: console }, 200],
  ] as const

  test.each(table)('%s', async (_, path, options, status) => {
    await using api = await testApi()
    expect((await api.call('POST', path, options)).status).toBe(status)
  })
})

describe('version headers', () => {
  test('name the microversion of successes and faults, with Vary for both', async () => {
    await using api = await testApi()
    for (const body of [console, {}]) {
      const { headers } = await api.call('POST', consolesPath(), { version: '2.8', body })
      expect(headers.get('OpenStack-API-Version')).toBe('compute 2.8')
      expect(headers.get('X-OpenStack-Nova-API-Version')).toBe('2.8')
      expect(headers.get('Vary')).toBe('OpenStack-API-Version, X-OpenStack-Nova-API-Version')
    }
  })

  test('repeat the requested version in a 406', async () => {
    await using api = await testApi()
    const answer = await api.call('POST', consolesPath(), { version: '2.999', body: console })
    expect(answer.headers.get('OpenStack-API-Version')).toBe('compute 2.999')
    expect(answer.fault?.key).toBe('computeFault')
  })

  test.each([
    ['an unreadable version', consolesPath(), { version: 'banana', body: console }],
    ['no token', consolesPath(), { headers: { 'X-Auth-Token': '' }, body: console }],
    ['an unknown route', '/v2.1/nope', {}],
    ['a body that is too large', consolesPath(), { raw: tooLarge }],
  ] as const)('are absent for %s', async (_, path, options) => {
    await using api = await testApi()
    const { headers } = await api.call('POST', path, options)
    expect([headers.get('OpenStack-API-Version'), headers.get('Vary')]).toEqual([null, null])
  })
})

describe('request ids', () => {
  test.each([
    ['200', '/v2.1/servers', {}],
    ['401', '/v2.1/servers', { headers: { 'X-Auth-Token': 'nobody' } }],
    ['404', '/v2.1/nope', {}],
  ] as const)('are sent under both names with status %s', async (status, path, options) => {
    await using api = await testApi()
    const answer = await api.call('GET', path, options)
    expect(answer.status).toBe(Number(status))
    expect(answer.headers.get('X-Compute-Request-ID')).toMatch(/^req-[0-9a-f-]{36}$/)
    expect(answer.headers.get('X-OpenStack-Request-ID')).toBe(answer.headers.get('X-Compute-Request-ID'))
  })

  test('are absent outside the API', async () => {
    await using api = await testApi()
    expect((await api.call('GET', '/')).headers.has('X-OpenStack-Request-ID')).toBe(false)
  })

  test('do not take over a caller’s own id', async () => {
    await using api = await testApi()
    const own = 'req-00000000-0000-4000-8000-000000000000'
    const { headers } = await api.call('GET', '/v2.1/servers', { headers: { 'X-OpenStack-Request-ID': own } })
    expect(headers.get('X-OpenStack-Request-ID')).not.toBe(own)
  })
})

describe('authentication', () => {
  test('responds 401 with the body of Keystone’s middleware', async () => {
    await using api = await testApi()
    const answer = await api.call('GET', '/v2.1/servers', { headers: { 'X-Auth-Token': 'nobody' } })
    expect(answer.body).toEqual({
      error: { code: 401, title: 'Unauthorized', message: 'The request you have made requires authentication.' },
    })
    expect(answer.headers.get('WWW-Authenticate')).toBe('Keystone uri="https://keystone.example/v3"')
  })

  test.each([
    ['X-Storage-Token in place of an absent X-Auth-Token', { 'X-Storage-Token': 'member' }, 200],
    ['X-Storage-Token beside a blank X-Auth-Token', { 'X-Auth-Token': ' ', 'X-Storage-Token': 'member' }, 401],
    ['a bad X-Service-Token beside a good token', { 'X-Auth-Token': 'member', 'X-Service-Token': 'bad' }, 401],
    ['X-Service-Token alone', { 'X-Service-Token': 'service' }, 401],
    ['Authorization', { Authorization: 'Bearer member' }, 401],
    ['forged roles', { 'X-Roles': 'admin', 'X-User-Id': 'adam' }, 401],
  ])('%s', async (_, headers: Record<string, string>, status) => {
    await using api = await testApi()
    const { createApi } = await import('../../src/index.ts')
    expect((await createApi(api.deps).request('/v2.1/servers', { headers })).status).toBe(status)
  })
})

describe('routing', () => {
  const good = { version: '2.6', body: console }
  test.each([
    ['double slashes', `//v2.1//servers//${consolesPath().split('/')[3]}/remote-consoles`, 200],
    ['an encoded dash', consolesPath().replace('remote-', 'remote%2D'), 200],
    ['an encoded slash between segments', consolesPath().replace('/remote', '%2Fremote'), 200],
    ['the own project in the path', consolesPath().replace('/v2.1', `/v2.1/${PROJECT}`), 200],
    ['a foreign project in the path', consolesPath().replace('/v2.1', '/v2.1/abc'), 400],
    ['a project that is not hexadecimal', consolesPath().replace('/v2.1', '/v2.1/demo'), 404],
    ['a project twice', consolesPath().replace('/v2.1', `/v2.1/${PROJECT}/${PROJECT}`), 404],
    ['a slash at the end', `${consolesPath()}/`, 404],
    ['a suffix', `${consolesPath()}.json`, 404],
    ['another case', consolesPath().toUpperCase().replace('/V2', '/v2'), 404],
    ['a path parameter', `${consolesPath()};a=b`, 404],
    ['dot segments', `/v2.1/servers/../servers/x/remote-consoles`, 404],
    ['another API', '/v2/servers', 404],
    ['no API', '/servers', 404],
    ['an unknown query', `${consolesPath()}?foo=bar`, 200],
    ['a query that is not UTF-8', `${consolesPath()}?a=%ff`, 200],
    ['a query that names a method', `${consolesPath()}?_method=GET`, 200],
  ])('%s', async (_, path, status) => {
    await using api = await testApi()
    const answer = await api.call('POST', path, good)
    expect(answer.status).toBe(status)
    if (status === 404)
      expect(answer.fault).toEqual({ key: 'itemNotFound', message: 'The resource could not be found.' })
  })

  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'FOO'])(
    'responds 404 to the wrong method %s',
    async (method) => {
      await using api = await testApi()
      expect((await api.call(method, consolesPath(), { version: '2.6' })).status).toBe(404)
    },
  )

  test.each([
    ['GET', '/v2.1/servers/x/consoles', 410],
    ['POST', '/v2.1/servers/x/consoles', 410],
    ['GET', `/v2.1/${PROJECT}/servers/x/consoles/1`, 410],
    ['DELETE', '/v2.1/servers/x/consoles/1', 410],
    ['DELETE', '/v2.1/servers/x/consoles', 404],
    ['HEAD', '/v2.1/servers/x/consoles', 404],
    ['GET', '/v2.1/abc/servers/x/consoles', 400],
  ])('treats the consoles API from before microversions as removed: %s %s gives %i', async (method, path, status) => {
    await using api = await testApi()
    const answer = await api.call(method, path, { version: '2.6' })
    expect(answer.status).toBe(status)
    if (status === 410) expect(answer.fault?.key).toBe('computeFault')
    expect(answer.headers.get('OpenStack-API-Version')).toBe(status === 404 ? null : 'compute 2.6')
  })

  test('responds 404 to HEAD where GET is allowed', async () => {
    await using api = await testApi()
    expect((await api.call('HEAD', '/v2.1/servers')).status).toBe(404)
  })

  test('decodes ids once, as latin-1', async () => {
    await using api = await testApi()
    const message = async (id: string) =>
      (await api.call('POST', actionPath(id), { body: { 'os-getVNCConsole': { type: 'novnc' } } })).fault?.message
    expect(await message('%C3%A9')).toBe('Instance Ã© could not be found.')
    expect(await message('%2541')).toBe('Instance %41 could not be found.')
    expect(await message('%ff%00%')).toBe('Instance ÿ\0% could not be found.')
    expect(await message('..')).toBe('Instance .. could not be found.')
  })
})

describe('bodies', () => {
  test.each([
    ['broken JSON', '{"remote_console"'],
    ['only blanks', '   '],
    ['a byte order mark', '\ufeff{}'],
    ['NaN', '{"remote_console": NaN}'],
    ['a comma at the end', '{"a": 1,}'],
    ['bytes that are not UTF-8', new Uint8Array([0x22, 0xff, 0x22])],
    ['5000 open brackets', '['.repeat(5000)],
    ['5000 nested lists', '['.repeat(5000) + ']'.repeat(5000)],
  ])('refuse %s with 400', async (_, raw) => {
    await using api = await testApi()
    for (const path of [consolesPath(), actionPath()]) {
      const { fault } = await api.call('POST', path, { version: '2.6', raw })
      expect(fault).toEqual({ key: 'badRequest', message: 'Malformed request body' })
    }
  })

  test('do not count brackets in strings as nesting', async () => {
    await using api = await testApi()
    const raw = JSON.stringify({ [`"${'['.repeat(2000)}\\`]: '{'.repeat(2000) })
    expect((await api.call('POST', consolesPath(), { version: '2.6', raw })).fault?.message).toBe(
      "'remote_console' is a required property",
    )
  })

  test('accept 114,688 bytes and refuse one more', async () => {
    await using api = await testApi()
    const padded = (size: number) => JSON.stringify(console).padEnd(size, ' ')
    expect((await api.call('POST', consolesPath(), { version: '2.6', raw: padded(114_688) })).status).toBe(200)
    const { status, fault } = await api.call('POST', consolesPath(), { version: '2.6', raw: padded(114_689) })
    expect(status).toBe(413)
    expect(fault).toEqual({
      key: 'overLimit',
      message: 'Request is too large. Larger than max_request_body_size (114688).',
    })
  })

  test('use the last of two members with one name', async () => {
    await using api = await testApi()
    const raw = '{"remote_console": {"protocol": "x", "protocol": "vnc", "type": "novnc"}}'
    expect((await api.call('POST', consolesPath(), { version: '2.6', raw })).status).toBe(200)
  })

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty'])(
    'treat the name %s as any other',
    async (name) => {
      await using api = await testApi()
      const raw = `{"remote_console": {"protocol": "vnc", "type": "novnc"}, "${name}": {"x": 1}}`
      const { fault } = await api.call('POST', consolesPath(), { version: '2.6', raw })
      expect(fault?.message).toBe(`Additional properties are not allowed ('${name}' was unexpected)`)
      expect((await api.call('POST', actionPath(), { raw: `{"${name}": {}}` })).fault?.message).toBe(
        `There is no such action: ${name}`,
      )
      expect(({} as { x?: number }).x).toBeUndefined()
    },
  )

  test.each([
    ['application/json', 200],
    ['APPLICATION/JSON', 200],
    ['application/json; charset=utf-8', 200],
    ['application/vnd.openstack.compute+json', 200],
    ['text/plain', 200],
    ['text/json', 415],
    ['application/json5', 415],
    ['application/json, text/plain', 415],
    ['text/plain, application/json', 415],
    ['application/json,', 415],
    ['multipart/form-data', 415],
  ])('respond to Content-Type %s', async (type, status) => {
    await using api = await testApi()
    const answer = await api.call('POST', consolesPath(), {
      version: '2.6',
      body: console,
      headers: { 'Content-Type': type },
    })
    expect(answer.status).toBe(status)
  })

  test('refuse a wrong Content-Type even without a body', async () => {
    await using api = await testApi()
    expect((await api.call('GET', '/v2.1/servers', { headers: { 'Content-Type': 'text/xml' } })).status).toBe(415)
  })
})

describe('choosing an action', () => {
  test.each([
    ['no body', '', 400, 'Malformed request body'],
    ['no members', '{}', 400, 'Malformed request body'],
    ['two members', '{"a": 1, "b": 2}', 400, 'Malformed request body'],
    ['an unknown action', '{"os-getVncConsole": {}}', 400, 'There is no such action: os-getVncConsole'],
    ['a number', '12', 404, 'The resource could not be found.'],
    ['true', 'true', 404, 'The resource could not be found.'],
    ['null', 'null', 404, 'The resource could not be found.'],
    ['a list of one', '[1]', 404, 'The resource could not be found.'],
    ['a list of two', '[1, 2]', 400, 'Malformed request body'],
    ['a text of one', '"a"', 404, 'The resource could not be found.'],
    ['a text of two', '"ab"', 400, 'Malformed request body'],
  ])('%s', async (_, raw, status, message) => {
    await using api = await testApi()
    const answer = await api.call('POST', actionPath(), { raw })
    expect([answer.status, answer.fault?.message]).toEqual([status, message])
  })
})

describe('schema faults', () => {
  test.each([
    ['null', 'The request body must be an object'],
    ['{}', "'remote_console' is a required property"],
    ['{"zeta": 1, "alpha": 2}', "'remote_console' is a required property"],
    [
      '{"remote_console": {"protocol": "vnc", "type": "novnc"}, "zeta": 1, "alpha": 2}',
      "Additional properties are not allowed ('alpha', 'zeta' were unexpected)",
    ],
    ['{"remote_console": []}', 'Invalid input for remote_console: must be an object'],
    [
      '{"remote_console": {"type": "x", "protocol": 1, "extra": 1}}',
      "Invalid input for remote_console.protocol: must be one of 'vnc', 'spice', 'serial', 'rdp', 'mks'",
    ],
    [
      '{"remote_console": {"type": "x", "extra": 1}}',
      "Invalid input for remote_console.type: must be one of 'novnc', 'xvpvnc', 'spice-html5', 'serial', 'rdp-html5', 'webmks'",
    ],
    [
      '{"remote_console": {"type": "novnc", "extra": 1}}',
      "Invalid input for remote_console: 'protocol' is a required property",
    ],
    [
      '{"remote_console": {"protocol": "vnc", "type": "novnc", "extra": 1}}',
      "Invalid input for remote_console: Additional properties are not allowed ('extra' was unexpected)",
    ],
  ])('%s', async (raw, message) => {
    await using api = await testApi()
    expect((await api.call('POST', consolesPath(), { version: '2.98', raw })).fault).toEqual({
      key: 'badRequest',
      message,
    })
  })

  test('treat an absent body as null', async () => {
    await using api = await testApi()
    expect((await api.call('POST', consolesPath(), { version: '2.98' })).fault?.message).toBe(
      'The request body must be an object',
    )
  })
})

describe('faults', () => {
  test('respond 500 to an unexpected error, with the cause only in the log', async () => {
    const source = fakeSource(undefined, {
      console: async () => {
        throw new Error('secret internals')
      },
    })
    await using api = await testApi({ source })
    const answer = await api.call('POST', consolesPath(), { version: '2.6', body: console })
    expect(answer.fault).toEqual({
      key: 'computeFault',
      message: 'Unexpected API Error. Please contact the administrator',
    })
    expect(JSON.stringify(answer.body)).not.toContain('secret')
  })

  test('respond 503 with Retry-After while the store is unavailable', async () => {
    await using api = await testApi()
    const away = async () => {
      throw new StoreUnavailable('gone')
    }
    await using sick = await testApi({ tokens: { ...api.deps.tokens, find: away, authorize: away } })
    for (const answer of [
      await sick.call('GET', tokenPath('x'), { as: 'admin', version: '2.31' }),
      await sick.call('POST', consolesPath(), { version: '2.6', body: console }),
    ]) {
      expect([answer.status, answer.fault?.key, answer.headers.get('Retry-After')]).toEqual([
        503,
        'serviceUnavailable',
        '5',
      ])
    }
  })
})

describe('CVE-2024-32652 bad Host', () => {
  test.each(['', 'a/b', 'http://evil', 'a b', 'a?b', 'user@host', 'a\\b', ':80', 'h:port'])(
    'refuses Host %j with 400',
    async (host) => {
      await using api = await testApi()
      const { fault } = await api.call('GET', '/v2.1', { headers: { Host: host } })
      expect(fault).toEqual({ key: 'badRequest', message: 'Malformed Host header' })
    },
  )

  test.each(['h', 'nova.example.com:8774', '[::1]:8774', '127.0.0.1'])('accepts Host %j', async (host) => {
    await using api = await testApi()
    expect((await api.call('GET', '/v2.1', { headers: { Host: host } })).status).toBe(200)
  })
})

describe('the media type of the response', () => {
  test.each([
    [undefined, 'application/json'],
    ['', 'application/json'],
    ['*/*', 'application/json'],
    ['text/html', 'application/json'],
    ['application/xml;q=1, application/json;q=0.1', 'application/json'],
    ['application/vnd.openstack.compute+json', 'application/vnd.openstack.compute+json'],
    ['application/json;q=0.5, application/vnd.openstack.compute+json', 'application/vnd.openstack.compute+json'],
    ['application/*', 'application/json'],
  ])('follows Accept: %s', async (accept, type) => {
    await using api = await testApi()
    const answer = await api.call('GET', '/v2.1/servers', accept === undefined ? {} : { headers: { Accept: accept } })
    expect([answer.status, answer.headers.get('Content-Type')]).toEqual([200, type])
  })
})

describe('cross-origin calls', () => {
  const preflight = { Origin: 'https://portal.example', 'Access-Control-Request-Method': 'POST' }
  const allowed = 'cors.allowed_origins = ["https://portal.example"]'

  test('allow a preflight of a configured origin without a token', async () => {
    await using api = await testApi({ toml: allowed })
    const { status, headers } = await api.call('OPTIONS', consolesPath(), {
      headers: { ...preflight, 'X-Auth-Token': '' },
    })
    expect(status).toBe(204)
    expect(headers.get('Access-Control-Allow-Origin')).toBe('https://portal.example')
    expect(headers.get('Access-Control-Allow-Headers')).toContain('X-Auth-Token')
  })

  test('expose the version headers to a configured origin, and keep Vary', async () => {
    await using api = await testApi({ toml: allowed })
    const { headers } = await api.call('GET', '/v2.1/servers', { headers: { Origin: 'https://portal.example' } })
    expect(headers.get('Access-Control-Allow-Origin')).toBe('https://portal.example')
    expect(headers.get('Vary')).toContain('OpenStack-API-Version')
    expect(headers.get('Access-Control-Allow-Credentials')).toBeNull()
  })

  test.each(['https://evil.example', 'https://portal.example.evil', 'http://portal.example', 'null'])(
    '%s gets nothing',
    async (origin) => {
      await using api = await testApi({ toml: allowed })
      const { status, headers } = await api.call('OPTIONS', consolesPath(), {
        headers: { ...preflight, Origin: origin },
      })
      expect([status, headers.get('Access-Control-Allow-Origin')]).toEqual([404, null])
    },
  )

  test('log a refused origin once, with the line that allows it', async () => {
    const lines: string[] = []
    const log = createLogger({ name: 'test', destination: { write: (line) => void lines.push(line) } })
    await using api = await testApi({ toml: allowed, log })
    const call = (origin: string) =>
      api.call('GET', '/v2.1/servers', { headers: { Origin: origin, Host: 'api.example' } })
    for (const origin of ['https://home.example', 'https://home.example', 'null', 'https://portal.example'])
      await call(origin)
    await call('http://api.example')
    const reported = lines.map((line) => JSON.parse(line)).filter((record) => 'line' in record)
    expect(reported).toMatchObject([
      {
        level: 'warn',
        origin: 'https://home.example',
        line: 'cors.allowed_origins = ["https://portal.example", "https://home.example"]',
      },
    ])
  })
})

describe('version documents', () => {
  test.each(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'FOO'])(
    '%s is answered without a token',
    async (method) => {
      await using api = await testApi()
      for (const path of ['/v2.1', '/v2.1/']) {
        const answer = await api.call(method, path, {
          headers: { 'X-Auth-Token': 'nobody', Host: 'nova.example:8774' },
        })
        expect(answer.body).toMatchObject({
          version: { id: 'v2.1', links: [{ rel: 'self', href: 'http://nova.example:8774/v2.1/' }, {}] },
        })
        expect(answer.headers.get('OpenStack-API-Version')).toBe('compute 2.1')
      }
      expect((await api.call(method, '/')).body).toMatchObject({ versions: [{ id: 'v2.1' }] })
    },
  )

  test('have no body for HEAD', async () => {
    await using api = await testApi()
    const answer = await api.call('HEAD', '/v2.1')
    expect([answer.status, answer.body]).toEqual([200, ''])
  })

  test('negotiate a microversion for the document and not for the list', async () => {
    await using api = await testApi()
    const list = await api.call('GET', '/', { version: 'banana' })
    expect([list.status, list.headers.get('OpenStack-API-Version')]).toEqual([200, null])
    expect((await api.call('GET', '/v2.1', { version: 'banana' })).status).toBe(400)
    expect((await api.call('GET', '/v2.1', { version: '2.999' })).status).toBe(406)
  })

  test('validate bodies and queries', async () => {
    await using api = await testApi()
    expect((await api.call('POST', '/', { raw: '{' })).status).toBe(400)
    expect(
      (await api.call('POST', '/v2.1/', { raw: '<a/>', headers: { 'Content-Type': 'application/xml' } })).status,
    ).toBe(415)
    expect((await api.call('GET', '/v2.1?a=%ff')).fault?.message).toBe('Query string is not UTF-8 encoded')
  })

  test('have links with public_url if it is configured', async () => {
    await using api = await testApi({ toml: 'public_url = "https://api.example/compute/"' })
    const answer = await api.call('GET', '/v2.1', { headers: { Host: 'inner:8774' } })
    expect(answer.body).toMatchObject({ version: { links: [{ href: 'https://api.example/compute/v2.1/' }, {}] } })
  })

  test('exist below the caller’s project, for authenticated callers', async () => {
    await using api = await testApi()
    expect((await api.call('GET', `/v2.1/${PROJECT}/`)).status).toBe(200)
    expect((await api.call('GET', `/v2.1/${PROJECT}`)).status).toBe(404)
    expect((await api.call('GET', '/v2.1/abc/')).status).toBe(400)
    expect((await api.call('GET', `/v2.1/${PROJECT}/`, { headers: { 'X-Auth-Token': 'nobody' } })).status).toBe(401)
  })

  test('give the document at / for a media type with a version', async () => {
    await using api = await testApi()
    const answer = await api.call('GET', '/', { headers: { Accept: 'application/json;version=2.1' } })
    expect(answer.body).toMatchObject({ version: { id: 'v2.1' } })
  })
})

describe('CVE-2026-29087, CVE-2026-39406, CVE-2024-23340: no path leads out of a folder', () => {
  const ways = [
    '..%2f..%2fetc%2fpasswd',
    '%2e%2e/%2e%2e/package.json',
    '//..//package.json',
    '..\\package.json',
    '2.1.json/../../x',
  ]

  test.each(ways)('/openapi/%s', async (way) => {
    await using api = await testApi()
    for (const path of [`/openapi/${way}`, `/healthz/${way}`]) {
      const { status, headers } = await api.call('GET', path)
      expect([status, headers.get('Location')]).toEqual([404, null])
    }
  })
})

describe('probes and OpenAPI', () => {
  test('readiness fails with the store or the source, and names only which', async () => {
    const source = fakeSource(undefined, {
      check: async () => {
        throw new Error('qemu:///system')
      },
    })
    await using api = await testApi({ source })
    expect((await api.call('GET', '/healthz')).status).toBe(200)
    const answer = await api.call('GET', '/readyz')
    expect(answer.status).toBe(503)
    expect(answer.body).toEqual({
      status: 'failing',
      checks: { tokens: 'ok', sources: 'failing', authentication: 'ok' },
      sources: { 'sources[0] fake': 'failing' },
    })
  })

  test('readiness passes if some sources respond, and names the others in response and log', async () => {
    const records: Record<string, unknown>[] = []
    const log = createLogger({ name: 'test', destination: { write: (line) => void records.push(JSON.parse(line)) } })
    const partly = { check: () => Promise.reject(new SourcePartlyUnavailable('one of two')) }
    const away = { check: () => Promise.reject(new Error('qemu:///system')) }
    const source = combineSources([fakeSource([], away), fakeSource(undefined, partly), fakeSource()])
    await using api = await testApi({ source, log })
    expect(await api.call('GET', '/readyz')).toMatchObject({
      status: 200,
      body: {
        status: 'degraded',
        checks: { tokens: 'ok', sources: 'ok', authentication: 'ok' },
        sources: { 'sources[0] fake': 'failing', 'sources[1] fake': 'failing', 'sources[2] fake': 'ok' },
      },
    })
    expect(records).toContainEqual(expect.objectContaining({ msg: 'readiness check fails', check: 'sources[0] fake' }))
    expect(
      (await api.call('POST', consolesPath(), { version: '2.6', body: remoteConsole('vnc', 'novnc') })).status,
    ).toBe(200)
  })

  test('readiness fails while draining', async () => {
    await using api = await testApi({ draining: () => true })
    expect((await api.call('GET', '/readyz')).status).toBe(503)
    expect((await api.call('GET', '/healthz')).status).toBe(200)
  })

  test('the OpenAPI document of a microversion needs no authentication', async () => {
    await using api = await testApi()
    const anonymous = { headers: { 'X-Auth-Token': '' } }
    expect((await api.call('GET', '/openapi/2.99.json', anonymous)).body).toMatchObject({
      openapi: '3.1.0',
      info: { version: '2.99' },
    })
    expect((await api.call('GET', '/openapi/latest.json', anonymous)).status).toBe(200)
    for (const file of ['2.999.json', '2.99', '..json'])
      expect((await api.call('GET', `/openapi/${file}`, anonymous)).status).toBe(404)
  })
})
