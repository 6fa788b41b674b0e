import { consoleTypes, EXPIRES_HEADER, openableConsoleTypes } from '@oriel/contract'
import { describe, expect, test } from 'vitest'
import { type Server, SourceError, type SourceErrorCode } from '../../src/index.ts'
import {
  type Answer,
  actionPath,
  address,
  type Caller,
  consolesPath,
  fakeSource,
  remoteConsole,
  SERVER_ID,
  server,
  type TestApi,
  testApi,
  tokenPath,
} from '../support.ts'

const create = (api: TestApi, protocol = 'vnc', type = 'novnc', as: Caller = 'member') =>
  api.call('POST', consolesPath(), { as, version: 'latest', body: remoteConsole(protocol, type) })
const act = (api: TestApi, action = 'os-getVNCConsole', type = 'novnc', as: Caller = 'member') =>
  api.call('POST', actionPath(), { as, body: { [action]: { type } } })
const output = (api: TestApi, body: object = {}, as: Caller = 'member') =>
  api.call('POST', actionPath(), { as, body: { 'os-getConsoleOutput': body } })
const outcome = ({ status, fault }: Answer) => [status, fault?.message]

const urls = {
  novnc: `http://127.0.0.1:6080/vnc_lite.html?path=%3Fserver%3D${SERVER_ID}%26token%3D`,
  'spice-html5': `http://127.0.0.1:6082/spice_auto.html?server=${SERVER_ID}&token=`,
  'spice-direct': `http://127.0.0.1:13002/nova?server=${SERVER_ID}&token=`,
  serial: `ws://127.0.0.1:6083/?server=${SERVER_ID}&token=`,
  webmks: `http://127.0.0.1:6090/webmks.html?server=${SERVER_ID}&token=`,
} as const

describe('POST remote-consoles', () => {
  test.each([
    ['vnc', 'novnc'],
    ['spice', 'spice-html5'],
    ['spice', 'spice-direct'],
    ['serial', 'serial'],
    ['mks', 'webmks'],
  ] as const)('creates a console of %s/%s', async (protocol, type) => {
    await using api = await testApi()
    const { status, body } = await create(api, protocol, type)
    const url = expect.stringContaining(urls[type])
    expect([status, body]).toEqual([200, { remote_console: { protocol, type, url } }])
  })

  test.each([
    ['vnc', 'xvpvnc', 'Invalid console type xvpvnc'],
    ['vnc', 'serial', 'Invalid console type serial'],
    ['spice', 'novnc', 'Invalid console type novnc'],
    ['serial', 'novnc', 'Invalid console type novnc'],
    ['mks', 'novnc', 'Invalid console type novnc'],
    ['rdp', 'rdp-html5', 'Unavailable console type rdp.'],
    ['rdp', 'novnc', 'Unavailable console type rdp.'],
  ])('refuses %s with %s', async (protocol, type, message) => {
    await using api = await testApi()
    expect(outcome(await create(api, protocol, type))).toEqual([400, message])
  })

  test.each([
    ['remote-consoles', create],
    ['an action', act],
  ] as const)('tells in a header when the URL of %s expires', async (_, request) => {
    await using api = await testApi({ toml: 'tokens.ttl_seconds = 90' })
    const before = Date.now()
    const { headers } = await request(api)
    const expiry = Date.parse(headers.get(EXPIRES_HEADER) ?? '')
    expect(expiry).toBeGreaterThanOrEqual(before + 90_000)
    expect(expiry).toBeLessThanOrEqual(Date.now() + 90_000)
  })

  test('refuses every type of a disabled protocol as unavailable', async () => {
    const vncTypes = openableConsoleTypes.filter((type) => consoleTypes[type].protocol === 'vnc')
    const off = vncTypes.map((type) => `consoles.${type}.enabled = false`)
    await using api = await testApi({ toml: off.join('\n') })
    for (const type of [...vncTypes, 'xvpvnc', 'serial']) {
      expect(outcome(await create(api, 'vnc', type))).toEqual([400, `Unavailable console type ${type}.`])
    }
  })

  test('refuses a single disabled type of a protocol', async () => {
    await using api = await testApi({ toml: 'consoles.spice-direct.enabled = false' })
    expect(outcome(await create(api, 'spice', 'spice-direct'))).toEqual([400, 'Unavailable console type spice-direct.'])
    expect(outcome(await create(api, 'spice', 'novnc'))).toEqual([400, 'Invalid console type novnc'])
    expect((await create(api, 'spice', 'spice-html5')).status).toBe(200)
  })

  test('creates a new token for every console and keeps earlier ones valid', async () => {
    await using api = await testApi()
    const tokens = [tokenIn(await create(api)), tokenIn(await create(api))]
    expect(new Set(tokens).size).toBe(2)
    for (const token of tokens) expect((await show(api, token)).status).toBe(200)
  })

  test('stores caller, console and address with the token', async () => {
    await using api = await testApi()
    const token = tokenIn(await create(api, 'spice', 'spice-direct'))
    expect(await api.deps.tokens.find(token)).toMatchObject({
      ...address,
      serverId: SERVER_ID,
      projectId: server().projectId,
      userId: 'alice',
      protocol: 'spice',
      type: 'spice-direct',
      accessUrlBase: 'http://127.0.0.1:13002/nova',
    })
  })
})

describe('legacy actions', () => {
  test.each([
    ['os-getVNCConsole', 'novnc'],
    ['os-getSPICEConsole', 'spice-html5'],
    ['os-getSerialConsole', 'serial'],
  ] as const)('%s', async (action, type) => {
    await using api = await testApi()
    const { status, body } = await act(api, action, type)
    expect([status, body]).toEqual([200, { console: { type, url: expect.stringContaining(urls[type]) } }])
  })

  test('refuse xvpvnc with 400 instead of 500', async () => {
    await using api = await testApi()
    expect(outcome(await act(api, 'os-getVNCConsole', 'xvpvnc'))).toEqual([400, 'Invalid console type xvpvnc'])
  })

  test.each([{ type: 'rdp-html5' }, {}, 1])('refuse os-getRDPConsole before its body %j is validated', async (body) => {
    await using api = await testApi()
    const answer = await api.call('POST', actionPath('unknown'), { as: 'reader', body: { 'os-getRDPConsole': body } })
    expect(outcome(answer)).toEqual([400, 'Unavailable console type rdp.'])
  })
})

describe('server states', () => {
  const notReady = [409, `Instance ${SERVER_ID} is not ready`]
  const notFound = [404, `Instance ${SERVER_ID} could not be found.`]
  const restless = (operation: string, state: string) => [
    409,
    `Cannot '${operation}' instance ${SERVER_ID} while it is in task_state ${state}`,
  ]
  const fine = [200, undefined]

  test.each<[string, Partial<Server>, unknown[], unknown[], unknown[]]>([
    ['active', {}, fine, fine, fine],
    ['stopped', { vmState: 'stopped' }, fine, fine, fine],
    ['soft-deleted', { vmState: 'soft-delete' }, fine, fine, fine],
    ['locked', { locked: true }, fine, fine, fine],
    ['building on a host', { vmState: 'building' }, fine, fine, fine],
    ['powering off', { taskState: 'powering-off' }, fine, fine, fine],
    ['on no host', { host: null }, notReady, notReady, notReady],
    ['deleted', { vmState: 'deleted' }, notFound, notFound, notFound],
    ...(['deleting', 'migrating'] as const).map((state): [string, Partial<Server>, unknown[], unknown[], unknown[]] => [
      state,
      { taskState: state },
      restless('get_vnc_console', state),
      restless('get_vnc_console', state),
      fine,
    ]),
    ['deleting on no host', { taskState: 'deleting', host: null }, notReady, notReady, notReady],
  ])('%s', async (_, changes, created, acted, shown) => {
    await using api = await testApi({ source: fakeSource([server(changes)]) })
    expect(outcome(await create(api))).toEqual(created)
    expect(outcome(await act(api))).toEqual(acted)
    expect(outcome(await output(api))).toEqual(shown)
  })

  test('name the protocol’s operation in the fault', async () => {
    await using api = await testApi({ source: fakeSource([server({ taskState: 'migrating' })]) })
    expect(outcome(await create(api, 'serial', 'serial'))).toEqual(restless('get_serial_console', 'migrating'))
    expect(outcome(await create(api, 'mks', 'webmks'))).toEqual(restless('get_mks_console', 'migrating'))
  })
})

describe('errors of a driver', () => {
  const unexpected = [500, 'Unexpected API Error. Please contact the administrator']
  const unsupported = [501, 'The requested functionality is not supported.']
  const notFound = [404, `Instance ${SERVER_ID} could not be found.`]
  const said = (status: number) => (status === 500 ? unexpected : [status, 'details for people'])

  test.each<[SourceErrorCode, unknown[], unknown[], unknown[], unknown[]]>([
    ['InstanceNotFound', notFound, notFound, notFound, notFound],
    ['NotImplemented', unsupported, unsupported, unsupported, unsupported],
    [
      'ConsoleTypeUnavailable',
      [400, 'Unavailable console type vnc.'],
      [400, 'Unavailable console type vnc.'],
      [400, 'Unavailable console type serial.'],
      unexpected,
    ],
    ['ConsoleNotAvailable', unexpected, unexpected, unexpected, [404, 'Guest does not have a console available.']],
    ['SocketPortRangeExhausted', said(400), said(500), said(400), unexpected],
    ['SerialPortNumberInvalid', said(400), said(500), said(400), unexpected],
    ['SerialPortNumberExceeds', said(400), said(500), said(400), unexpected],
  ])('%s', async (code, created, acted, actedSerial, shown) => {
    const fail = async () => {
      throw new SourceError(code, 'details for people')
    }
    await using api = await testApi({ source: fakeSource(undefined, { console: fail, output: fail }) })
    expect(outcome(await create(api))).toEqual(created)
    expect(outcome(await act(api))).toEqual(acted)
    expect(outcome(await act(api, 'os-getSerialConsole', 'serial'))).toEqual(actedSerial)
    expect(outcome(await output(api))).toEqual(shown)
  })

  test('InstanceNotFound gives 409 for a console and 404 for the log', async () => {
    const fail = async () => {
      throw new SourceError('InstanceNotFound')
    }
    const source = fakeSource([server({ vmState: 'building' })], { console: fail, output: fail })
    await using api = await testApi({ source })
    for (const answer of [await create(api), await act(api)]) {
      expect(outcome(answer)).toEqual([409, `Instance ${SERVER_ID} is not ready`])
    }
    expect(outcome(await output(api))).toEqual(notFound)
  })

  test('a source without logs gives 501', async () => {
    const { output: _, ...source } = fakeSource()
    await using api = await testApi({ source })
    expect(outcome(await output(api))).toEqual(unsupported)
  })
})

describe('console output', () => {
  test.each<[unknown, string]>([
    [undefined, 'one\ntwo\nthree'],
    [null, 'one\ntwo\nthree'],
    [-1, 'one\ntwo\nthree'],
    ['-1', 'one\ntwo\nthree'],
    [0, ''],
    [1, 'three'],
    ['02', 'two\nthree'],
    [2.0, 'two\nthree'],
    [50, 'one\ntwo\nthree'],
    [1e30, 'one\ntwo\nthree'],
  ])('returns the last lines for the length %j', async (length, text) => {
    await using api = await testApi()
    expect((await output(api, { length })).body).toEqual({ output: text })
  })

  test('counts an empty line after a trailing newline', async () => {
    await using api = await testApi({ source: fakeSource(undefined, { output: async () => 'a\nb\n' }) })
    expect((await output(api, { length: 1 })).body).toEqual({ output: '' })
    expect((await output(api, { length: 2 })).body).toEqual({ output: 'b\n' })
  })

  test.each([-2, '-2', 'abc', '+1', ' 1', '1.5', '１', true, 1.5, []])(
    'refuses the length %j with 400',
    async (length) => {
      await using api = await testApi()
      const { status, fault } = await output(api, { length })
      expect([status, fault?.key]).toEqual([400, 'badRequest'])
      expect(fault?.message).toContain('os-getConsoleOutput.length')
    },
  )

  test.each([[null], [[]], [1], [{ length: 1, x: 1 }], [{ Length: 1 }]])(
    'refuses the body %j with 400',
    async (body) => {
      await using api = await testApi()
      expect((await output(api, body as object)).status).toBe(400)
    },
  )

  test('CVE-2012-2094: removes control characters that a guest has printed', async () => {
    const printed = Buffer.concat([Buffer.from('<b>\ttab\r\n\x1b]0;title\x07\x00\x1f é '), Buffer.from([0xff])])
    await using api = await testApi({ source: fakeSource(undefined, { output: async () => printed }) })
    const { body, headers } = await output(api)
    expect(body).toEqual({ output: '<b>\ttab\n]0;title \ufffd\ufffd \ufffd' })
    expect(headers.get('Content-Type')).toBe('application/json')
  })
})

describe('GET os-console-auth-tokens', () => {
  test('returns connect info for every type', async () => {
    await using api = await testApi()
    const token = tokenIn(await create(api))
    expect((await show(api, token)).body).toEqual({
      console: { instance_uuid: SERVER_ID, host: '10.0.0.5', port: 5901, internal_access_path: 'inside' },
    })
  })

  test('has tls_port only for spice-direct, and only since its microversion', async () => {
    await using api = await testApi()
    const token = tokenIn(await create(api, 'spice', 'spice-direct'))
    expect((await show(api, token, '2.99')).body).toMatchObject({ console: { tls_port: 5902 } })
    expect((await show(api, token, '2.98')).body).not.toHaveProperty('console.tls_port')
    expect((await show(api, tokenIn(await create(api)), '2.99')).body).not.toHaveProperty('console.tls_port')
  })

  test('responds 400 before 2.31, before it checks policy and the token', async () => {
    await using api = await testApi()
    const answer = await api.call('GET', tokenPath('x'), { version: '2.30' })
    expect(outcome(answer)).toEqual([
      400,
      'The server could not comply with the request since it is either malformed or otherwise incorrect.',
    ])
  })

  test('compares tokens exactly', async () => {
    await using api = await testApi()
    const token = tokenIn(await create(api))
    const others = [
      token.toUpperCase(),
      token.replaceAll('-', ''),
      `${token}%0A`,
      `%20${token}`,
      `${token}.json`,
      'x',
      '..',
    ]
    for (const other of others) {
      expect(outcome(await show(api, other))).toEqual([404, 'Token not found'])
    }
    expect((await show(api, token.replaceAll('-', '%2D'))).status).toBe(200)
  })

  test('keeps a token valid when it is read, and not after its server is revoked', async () => {
    await using api = await testApi()
    const token = tokenIn(await create(api))
    await show(api, token)
    expect((await show(api, token)).status).toBe(200)
    expect(await api.deps.tokens.revokeServer(SERVER_ID)).toBe(1)
    expect((await show(api, token)).status).toBe(404)
  })

  test.each([
    ['unknown', []],
    ['deleted', [server({ vmState: 'deleted' })]],
  ])('revokes a token together with its server: %s', async (_, left) => {
    let servers = [server()]
    await using api = await testApi({ source: fakeSource([], { find: async () => servers[0] }) })
    const token = tokenIn(await create(api))
    expect((await show(api, token)).status).toBe(200)
    servers = left
    expect(outcome(await show(api, token))).toEqual([404, 'Token not found'])
  })

  test('responds 404 at once with ttl_seconds 0', async () => {
    await using api = await testApi({ toml: 'tokens.ttl_seconds = 0' })
    expect((await show(api, tokenIn(await create(api)))).status).toBe(404)
  })

  test.each([
    ['2.98', 'foo=bar', 200, undefined],
    ['2.99', 'foo=bar', 400, "Additional properties are not allowed ('foo' was unexpected)"],
    ['2.99', 'zip=1&foo=2&foo=3', 400, "Additional properties are not allowed ('foo', 'zip' were unexpected)"],
    ['2.99', '%C3%A9=1', 400, "Additional properties are not allowed ('é' was unexpected)"],
    ['2.99', '=1', 400, "Additional properties are not allowed ('' was unexpected)"],
    ['2.99', '', 200, undefined],
    ['2.31', '%ff=1', 400, 'Query string is not UTF-8 encoded'],
  ])('validates the query at microversion %s: ?%s', async (version, query, status, message) => {
    await using api = await testApi()
    const token = tokenIn(await create(api))
    expect(outcome(await show(api, `${token}?${query}`, version))).toEqual([status, message])
  })
})

describe('CVE-2020-11997: policy by role and project', () => {
  const matrix: Readonly<Record<Caller, readonly [number, number, number, number, number, number]>> = {
    //         create act output token show list
    member: [200, 200, 200, 403, 200, 1],
    reader: [403, 403, 403, 403, 200, 1],
    norole: [403, 403, 403, 403, 403, -1],
    admin: [200, 200, 200, 200, 200, 0],
    service: [404, 403, 404, 200, 200, -1],
    otherService: [404, 403, 404, 200, 200, -1],
    stranger: [404, 404, 404, 403, 404, 0],
    unscoped: [403, 403, 403, 403, 403, -1],
  }

  test.each(Object.keys(matrix) as Caller[])('%s', async (as) => {
    await using api = await testApi()
    const token = tokenIn(await create(api))
    const list = await api.call('GET', '/v2.1/servers', { as })
    expect([
      (await create(api, 'vnc', 'novnc', as)).status,
      (await act(api, 'os-getVNCConsole', 'novnc', as)).status,
      (await output(api, {}, as)).status,
      (await show(api, token, '2.31', as)).status,
      (await api.call('GET', `/v2.1/servers/${SERVER_ID}`, { as })).status,
      list.status === 200 ? (list.body as { servers: unknown[] }).servers.length : -1,
    ]).toEqual(matrix[as])
  })

  test('shows the hypervisor’s name of a server only to admin and service', async () => {
    await using api = await testApi()
    const shown = async (as: Caller) => {
      const { body } = await api.call('GET', `/v2.1/servers/${SERVER_ID}`, { as })
      return (body as { server: Record<string, unknown> }).server['OS-EXT-SRV-ATTR:instance_name']
    }
    expect(await Promise.all((['admin', 'service'] as const).map(shown))).toEqual([
      expect.any(String),
      expect.any(String),
    ])
    expect(await Promise.all((['member', 'reader'] as const).map(shown))).toEqual([undefined, undefined])
  })

  test('responds 403 with the rule, and with nothing about the server', async () => {
    await using api = await testApi()
    expect((await create(api, 'vnc', 'novnc', 'reader')).fault).toEqual({
      key: 'forbidden',
      message: "Policy doesn't allow os_compute_api:os-remote-consoles to be performed.",
    })
  })

  test('follows a configuration that grants rules to other roles, or to none', async () => {
    await using api = await testApi({
      toml: '[policy]\n"os_compute_api:os-remote-consoles" = ["reader"]\n"os_compute_api:os-console-output" = []',
    })
    expect((await create(api, 'vnc', 'novnc', 'reader')).status).toBe(200)
    expect((await output(api, {}, 'admin')).status).toBe(403)
  })
})

const show = (api: TestApi, token: string, version = '2.31', as: Caller = 'admin') =>
  api.call('GET', tokenPath(token), { as, version })

function tokenIn({ body }: Answer): string {
  const { remote_console: console } = body as { remote_console: { url: string } }
  return /token(?:=|%3D)([0-9a-f-]{36})$/.exec(console.url)![1]!
}
