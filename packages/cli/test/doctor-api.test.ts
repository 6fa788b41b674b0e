import { freePort } from '@oriel/testkit'
import { expect, it } from 'vitest'
import { at, diagnose, diagnoseApi, failureIn, matching } from './parts/diagnose.ts'
import { CONSOLE_TOKEN, type FakeApiOptions, fault, send, TOKEN } from './parts/fake-cloud.ts'

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

it('skips the types of console that the server lacks, and fails if it lacks all', async () => {
  const results = await diagnoseApi({ consoles: {} })
  expect(failureIn(results)).toMatchObject({ name: 'consoles', detail: 'the server has no console of any type' })
  expect(results.filter(({ status }) => status === 'skipped')).toHaveLength(5)
})
