import { expect, test } from 'vitest'
import { type NovaStub, recordedMicroversions, startNovaStub } from '../src/index.ts'

const { max } = recordedMicroversions
const afterMax = `2.${Number(max.split('.')[1]) + 1}`
const server = '5e3d6c2b-1f0a-4c55-9d6e-0a7a3a4f9b11'
const console = { instance_uuid: server, host: '192.0.2.7', port: 5901, internal_access_path: 'a/b' }
const start = () =>
  startNovaStub({
    adminToken: 'admin',
    memberToken: 'member',
    tokens: { vnc: console, spice: { instance_uuid: server, host: '192.0.2.8', port: 5902, tls_port: 5903 } },
  })

function get(nova: NovaStub, path: string, version = '2.99', token = 'admin') {
  const headers = { 'X-Auth-Token': token, 'OpenStack-API-Version': `compute ${version}` }
  return fetch(`http://${nova.host}:${nova.port}${path}`, { headers, signal: AbortSignal.timeout(5000) })
}

test('NovaStub answers for a console auth token with the members, spelling and headers of Nova', async () => {
  await using nova = await start()
  const answer = await get(nova, '/v2.1/os-console-auth-tokens/vnc')
  expect(answer.status).toBe(200)
  expect(await answer.text()).toBe(
    `{"console": {"instance_uuid": "${server}", "host": "192.0.2.7", "port": 5901, "internal_access_path": "a/b"}}`,
  )
  expect(answer.headers.get('content-type')).toBe('application/json')
  expect(answer.headers.get('openstack-api-version')).toBe('compute 2.99')
  expect(answer.headers.get('x-openstack-nova-api-version')).toBe('2.99')
  expect(answer.headers.get('vary')).toBe('OpenStack-API-Version, X-OpenStack-Nova-API-Version')
  expect(answer.headers.get('x-compute-request-id')).toMatch(/^req-/)
})

test('NovaStub adds tls_port as the fifth member from 2.99 on, for tokens that have one', async () => {
  await using nova = await start()
  const members = async (version: string) => {
    const answer = await get(nova, '/v2.1/os-console-auth-tokens/spice', version)
    return ((await answer.json()) as { console: object }).console
  }
  expect(await members('2.98')).not.toHaveProperty('tls_port')
  expect(await members('2.99')).toMatchObject({ tls_port: 5903, internal_access_path: null })
})

test.each([
  ['an unknown console auth token', '/v2.1/os-console-auth-tokens/other', '2.99', 'admin', 404, /Token not found/],
  ['a microversion below 2.31', '/v2.1/os-console-auth-tokens/vnc', '2.30', 'admin', 400, /"badRequest"/],
  ['a microversion that is too new', '/v2.1/os-console-auth-tokens/vnc', afterMax, 'admin', 406, `maximum is ${max}.`],
  ['a malformed microversion', '/v2.1/os-console-auth-tokens/vnc', 'banana', 'admin', 400, /invalid format/],
  ['a query from 2.99 on', '/v2.1/os-console-auth-tokens/vnc?a=1&b=2', '2.99', 'admin', 400, /'a', 'b' were/],
  ['a caller without the role', '/v2.1/os-console-auth-tokens/vnc', '2.99', 'member', 403, /"forbidden"/],
  ['an unauthenticated caller', '/v2.1/os-console-auth-tokens/vnc', '2.99', 'x', 401, /requires authentication/],
  ['a route that does not exist', '/v2.1/os-console-auth-tokens', '2.99', 'admin', 404, /^404 Not Found/],
  ['a server that does not exist', '/v2.1/servers/none', '2.99', 'admin', 404, /Instance none could not be found/],
])('NovaStub refuses %s', async (_, path, version, token, status, text) => {
  await using nova = await start()
  const answer = await get(nova, path, version, token)
  expect(answer.status).toBe(status)
  expect(await answer.text()).toMatch(text)
})

test('NovaStub answers discovery without a token, with the newest microversion', async () => {
  await using nova = await startNovaStub({ adminToken: 'admin', tokens: {}, maxMicroversion: '2.93' })
  const one = await fetch(`${nova.url}/`)
  expect(await one.json()).toMatchObject({ version: { id: 'v2.1', version: '2.93', min_version: '2.1' } })
  const all = await fetch(`http://${nova.host}:${nova.port}/`)
  expect(await all.json()).toMatchObject({ versions: [{ id: 'v2.0' }, { id: 'v2.1', version: '2.93' }] })
  expect(all.headers.get('openstack-api-version')).toBeNull()
})

test('NovaStub has a server for the instance of each token', async () => {
  await using nova = await start()
  expect(await (await get(nova, `/v2.1/servers/${server}`)).json()).toMatchObject({ server: { id: server } })
})

test.each([404, 500, 503] as const)('NovaStub answers %i while a test requests it', async (status) => {
  await using nova = await start()
  nova.behave(status)
  expect((await get(nova, '/v2.1/os-console-auth-tokens/vnc')).status).toBe(status)
  expect((await fetch(nova.url)).status).toBe(200)
  nova.behave(status, { discovery: true })
  expect((await fetch(nova.url)).status).toBe(status)
  nova.behave('answer')
  expect((await get(nova, '/v2.1/os-console-auth-tokens/vnc')).status).toBe(200)
})

test('NovaStub drops connections while a test requests it', async () => {
  await using nova = await start()
  nova.behave('reset')
  await expect(get(nova, '/v2.1/os-console-auth-tokens/vnc')).rejects.toThrow('fetch failed')
})

test('NovaStub records a hanging request, and ends it when it is disposed', async () => {
  const nova = await start()
  nova.behave('hang')
  const answer = get(nova, '/v2.1/os-console-auth-tokens/vnc').catch(() => 'dropped')
  await nova.requested(1)
  expect(nova.requests[0]).toMatchObject({ method: 'GET', url: '/v2.1/os-console-auth-tokens/vnc' })
  await nova[Symbol.asyncDispose]()
  expect(await answer).toBe('dropped')
})

test('NovaStub answers 404 for a revoked token', async () => {
  await using nova = await start()
  nova.tokens.delete('vnc')
  expect((await get(nova, '/v2.1/os-console-auth-tokens/vnc')).status).toBe(404)
})
