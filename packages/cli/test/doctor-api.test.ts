/** `oriel doctor` with endpoints, sign-ins and servers that are broken, each in its own way. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { freePort, type TemporaryPkiOptions, temporaryPki } from '@oriel/testkit'
import { expect, it } from 'vitest'
import { type DiagnoseOptions, diagnose, failureIn } from './parts/diagnose.ts'
import {
  CONSOLE_TOKEN,
  type FakeApiOptions,
  fakeApi,
  fakeProxy,
  fault,
  listen,
  send,
  silentServer,
  TOKEN,
} from './parts/fake-cloud.ts'

const at = (port: number, path = '/v2.1', scheme = 'http') => `${scheme}://127.0.0.1:${port}${path}`
const page = (port: number) => `http://127.0.0.1:${port}/vnc_lite.html?path=%3Ftoken%3D${CONSOLE_TOKEN}`

/** Diagnoses a cloud whose API has these faults, and whose proxy is healthy. */
async function diagnoseApi(options: Partial<FakeApiOptions>, how: DiagnoseOptions = {}, path = '/v2.1') {
  await using proxy = await fakeProxy()
  await using api = await fakeApi({ consoles: { novnc: page(proxy.port) }, ...options })
  return await diagnose(at(api.port, path, options.tls === undefined ? 'http' : 'https'), how)
}

it('passes every check of a healthy cloud, and shows no token', async () => {
  const results = await diagnoseApi({}, { type: 'novnc', server: 'web-1' })
  expect(results.map(({ status, name }) => `${status} ${name}`)).toEqual(
    [
      ...['settings', 'network', 'api', 'clock', 'microversion', 'sign-in', 'servers', 'server'],
      ...['create', 'address', 'network', 'page', 'websocket', 'origin', 'console', 'clock'].map((it) => `novnc ${it}`),
    ].map((name) => `ok ${name}`),
  )
  expect(JSON.stringify(results)).not.toMatch(new RegExp(`${TOKEN}|${CONSOLE_TOKEN}`))
})

it('skips the checks that depend on a failed one, with its name', async () => {
  const results = await diagnose(at(await freePort()))
  expect(results.filter(({ status }) => status !== 'skipped').map(({ name }) => name)).toEqual(['settings', 'network'])
  const skipped = results.filter(({ status }) => status === 'skipped')
  expect(skipped.map(({ name }) => name)).toEqual(['api', 'clock', 'microversion', 'sign-in', 'servers', 'server'])
  for (const { because, detail } of skipped) expect([because, detail]).toEqual(['network', 'because network failed'])
})

const respondWith = (status: number, body: unknown, headers: object = {}) => ({
  broken: (_: unknown, response: Parameters<typeof send>[0]) => send(response, status, body, headers),
})
const respondAt = (path: RegExp, status: number, body: unknown, headers: object = {}): Partial<FakeApiOptions> => ({
  broken: ({ url = '' }, response) => path.test(url) && send(response, status, body, headers),
})

it.each([
  [
    'a root without /v2.1',
    {},
    '/',
    {
      name: 'api',
      detail: /lists versions of the compute API$/,
      side: 'client',
      remedy: /Write http\S+\/v2\.1 in --end/,
    },
  ],
  [
    'Keystone',
    respondWith(300, { versions: { values: [{ id: 'v3.14' }] } }),
    '/v2.1',
    { name: 'api', detail: /is Keystone, the identity service/, side: 'client', remedy: /openstack catalog show nova/ },
  ],
  [
    'a web page',
    respondWith(200, '<title>Welcome to nginx!</title>'),
    '/v2.1',
    {
      name: 'api',
      detail: /answers 200 with a page "Welcome to nginx!"/,
      side: 'client',
      remedy: /such as http:\/\/HOST:8774\/v2\.1, in --endpoint/,
    },
  ],
  [
    'a load balancer without a backend',
    respondWith(503, '<h1>503</h1>'),
    '/v2.1',
    { name: 'api', detail: /answers 503: no compute API is behind it/, side: 'load balancer', remedy: /backend/ },
  ],
  [
    'a redirect to https',
    respondWith(301, '', { Location: 'https://api.example/v2.1/' }),
    '/v2.1',
    {
      name: 'api',
      detail: /redirects to https:\/\/api\.example\/v2\.1\//,
      side: 'client',
      remedy: /Write that address/,
    },
  ],
  [
    'the home page of oriel-proxy',
    {
      broken: ({ url }, response) =>
        send(
          response,
          200,
          url === '/oriel.json' ? { api_url: 'http://h:8774', consoles: [] } : '<title>Consoles</title>',
        ),
    },
    '/',
    {
      name: 'api',
      detail: /is oriel-proxy, which serves consoles/,
      side: 'client',
      remedy: /Write http:\/\/h:8774\/v2\.1 in --endpoint/,
    },
  ],
  [
    'a clock that is an hour behind',
    respondAt(/^\/v2\.1\/$/, 200, version(), { Date: new Date(Date.now() - 3_600_000).toUTCString() }),
    '/v2.1',
    {
      name: 'clock',
      detail: /of the compute API is 60 min behind this machine's/,
      side: 'compute API',
      remedy: /set-ntp true/,
    },
  ],
  [
    'a list of servers that the policy forbids',
    respondAt(/detail/, 403, fault('forbidden', 403, 'Not you.')),
    '/v2.1',
    { name: 'servers', detail: 'you may not list servers: Not you.', side: 'compute API', remedy: /servers:detail/ },
  ],
  [
    'no server that runs',
    { status: 'SHUTOFF' },
    '/v2.1',
    { name: 'server', detail: 'no server is ACTIVE', side: 'client', remedy: /Start a server/ },
  ],
  [
    'consoles that the policy forbids',
    respondAt(/remote-consoles/, 403, fault('forbidden', 403, 'Not you.')),
    '/v2.1',
    {
      name: 'novnc create',
      detail: /may not create consoles: Not you/,
      side: 'Nova',
      remedy: /os-remote-consoles in policy\.yaml/,
    },
  ],
  [
    'consoles that the server cannot have now',
    respondAt(/remote-consoles/, 409, fault('conflictingRequest', 409, 'Not ready.')),
    '/v2.1',
    {
      name: 'novnc create',
      detail: /web-1 is ACTIVE and has no console now/,
      side: 'client',
      remedy: /openstack server start/,
    },
  ],
  [
    'a compute host that does not answer',
    respondAt(/remote-consoles/, 500, fault('computeFault', 500, 'MessagingTimeout.')),
    '/v2.1',
    {
      name: 'novnc create',
      detail: /fails with 500: MessagingTimeout/,
      side: 'Nova',
      remedy: /log of nova-api and of nova-compute/,
    },
  ],
  [
    'a type of console that is not enabled',
    { consoles: {} },
    '/v2.1',
    {
      name: 'novnc create',
      detail: /web-1 has no console of type novnc/,
      side: 'Nova',
      remedy: /Enable vnc in nova\.conf/,
    },
  ],
  [
    'access URLs without a token',
    { consoles: { novnc: 'http://127.0.0.1:1/vnc_lite.html' } },
    '/v2.1',
    { name: 'novnc create', detail: 'the access URL has no token', side: 'Nova', remedy: /gateway/ },
  ],
] as const satisfies [string, Partial<FakeApiOptions>, string, object][])(
  'names %s',
  async (_, broken, path, fault) => {
    const found = failureIn(await diagnoseApi(broken, { type: 'novnc' }, path))
    expect(found).toMatchObject(matching(fault))
  },
)

function version() {
  return { version: { id: 'v2.1', status: 'CURRENT', version: '2.104', min_version: '2.1', updated: '', links: [] } }
}

/** Replaces regular expressions by matchers. */
function matching(members: object) {
  const entries = Object.entries(members as Record<string, string | RegExp>)
  return Object.fromEntries(
    entries.map(([key, value]) => [key, value instanceof RegExp ? expect.stringMatching(value) : value]),
  )
}

it('names a port on which no program listens', async () => {
  const found = failureIn(await diagnose(at(await freePort())))
  expect(found).toMatchObject(matching({ name: 'network', detail: /refuses connections/, remedy: /systemctl start/ }))
})

it('names a host name that does not resolve', async () => {
  const found = failureIn(await diagnose('http://api.invalid/v2.1'))
  expect(found).toMatchObject({ name: 'network', side: 'DNS', remedy: expect.stringContaining('--endpoint') })
  expect(found.detail).toContain('api.invalid does not resolve')
})

it('names an API that accepts connections and does not answer, at the deadline', async () => {
  await using api = await silentServer()
  const found = failureIn(await diagnose(at(api.port), { timeoutMs: 100 }))
  expect(found).toMatchObject(matching({ name: 'api', detail: /does not answer in time/, remedy: /--timeout/ }))
})

const jwt = (exp: number) => `e30.${Buffer.from(JSON.stringify({ exp })).toString('base64url')}.x`

it.each([
  ['a missing token', '', 'the API needs a token, and no token is given', 'Set ORIEL_TOKEN'],
  ['a wrong token', 'wrong-token', 'the API refuses the token, which is wrong or has expired', 'openstack token issue'],
  [
    'an expired JWT',
    jwt(Date.now() / 1000 - 600),
    'the API refuses the token, which expired 10 min ago',
    'token issue',
  ],
])('names %s', async (_, token, detail, remedy) => {
  const found = failureIn(await diagnoseApi({}, { token }))
  expect(found).toMatchObject({ name: 'sign-in', side: 'client', detail, remedy: expect.stringContaining(remedy) })
})

async function tlsFrom(path: string) {
  const [cert, key] = ['server-cert.pem', 'server-key.pem'].map((name) => readFileSync(join(path, name)))
  return { cert: cert!, key: key! }
}

it.each([
  ['a CA that is not trusted', {}, false, /signed by a CA|leads to no CA/, 'client', /OS_CACERT/],
  ['an expired certificate', { expired: true }, true, /has expired/, 'compute API', /Renew it where TLS ends/],
  [
    'a certificate for other names',
    { addresses: ['127.0.0.2'] },
    true,
    /for other names: .*127\.0\.0\.2/,
    'compute API',
    /--endpoint/,
  ],
] as const satisfies [string, TemporaryPkiOptions, boolean, RegExp, string, RegExp][])(
  'names %s',
  async (_, options, isTrusted, detail, side, remedy) => {
    await using pki = await temporaryPki(options)
    const env = isTrusted ? { OS_CACERT: join(pki.path, 'ca-cert.pem') } : {}
    const found = failureIn(await diagnoseApi({ tls: await tlsFrom(pki.path) }, { env }))
    expect(found).toMatchObject(matching({ name: 'api', detail, side, remedy }))
  },
)

it('names http written for https, and the reverse', async () => {
  await using pki = await temporaryPki()
  await using secure = await fakeApi({ consoles: {}, tls: await tlsFrom(pki.path) })
  await using plain = await fakeApi({ consoles: {} })
  const forHttps = failureIn(await diagnose(at(secure.port)))
  expect(forHttps).toMatchObject(matching({ name: 'api', side: 'client', remedy: /https:\/\/ in --endpoint/ }))
  const forHttp = failureIn(await diagnose(at(plain.port, '/v2.1', 'https')))
  expect(forHttp).toMatchObject(
    matching({ name: 'api', detail: /speaks http$/, remedy: 'Write http:// in --endpoint.' }),
  )
})

it('names an unencrypted console of an encrypted API', async () => {
  await using pki = await temporaryPki()
  const env = { OS_CACERT: join(pki.path, 'ca-cert.pem') }
  const found = failureIn(await diagnoseApi({ tls: await tlsFrom(pki.path) }, { env, type: 'novnc' }))
  expect(found).toMatchObject(
    matching({
      name: 'novnc address',
      side: 'Nova',
      detail: /unencrypted \(http:\/\/\)/,
      remedy: /novncproxy_base_url .*https:/,
    }),
  )
})

it('skips the types of console that the server lacks, and fails if it lacks all', async () => {
  const results = await diagnoseApi({ consoles: {} })
  expect(failureIn(results)).toMatchObject({ name: 'consoles', detail: 'the server has no console of any type' })
  expect(results.filter(({ status }) => status === 'skipped')).toHaveLength(5)
})

/** A Keystone that answers with this status and catalogue. */
const keystone = (status: number, catalog: readonly object[]) =>
  listen(
    createServer((_, response) => {
      const token = { expires_at: new Date(Date.now() + 60_000).toISOString(), catalog }
      const body = status === 201 ? { token } : { error: { code: status, message: 'Unauthorized.' } }
      send(response, status, body, { 'X-Subject-Token': TOKEN })
    }),
  )

it.each([
  ['refused credentials', 401, [], 'Keystone refuses the credentials: Unauthorized.', 'password'],
  ['a catalogue without a compute service', 201, [], 'The catalogue has no compute endpoint', 'OS_REGION_NAME'],
] as const)('names %s of Keystone', async (_, status, catalog, detail, remedy) => {
  await using identity = await keystone(status, catalog)
  const results = await diagnoseWith({ OS_AUTH_URL: at(identity.port, ''), OS_USERNAME: 'u', OS_PASSWORD: 'pass' })
  const found = failureIn(results)
  expect(found).toMatchObject({ name: 'identity', side: 'client', remedy: expect.stringContaining(remedy) })
  expect(found.detail).toContain(detail)
})

it('names a Keystone that does not listen', async () => {
  const OS_AUTH_URL = at(await freePort(), '')
  const found = failureIn(await diagnoseWith({ OS_AUTH_URL, OS_USERNAME: 'u', OS_PASSWORD: 'pass' }))
  expect(found).toMatchObject({
    name: 'identity',
    side: 'identity service',
    remedy: expect.stringContaining('Keystone'),
  })
})

const diagnoseWith = (env: NodeJS.ProcessEnv) => diagnose('', { token: '', env })
