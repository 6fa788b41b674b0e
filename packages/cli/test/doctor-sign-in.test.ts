/** `oriel doctor` with networks, certificates and sign-ins that are broken, each in its own way. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { freePort, type TemporaryPkiOptions, temporaryPki } from '@oriel/testkit'
import { expect, it } from 'vitest'
import { at, diagnose, diagnoseApi, failureIn, matching } from './parts/diagnose.ts'
import { fakeApi, listen, send, silentServer, TOKEN } from './parts/fake-cloud.ts'

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

it('takes the endpoint from the catalogue of Keystone', async () => {
  await using api = await fakeApi({ consoles: {} })
  const endpoints = [{ interface: 'public', region: 'one', url: at(api.port) }]
  await using identity = await keystone(201, [{ type: 'compute', endpoints }])
  const results = await diagnoseWith({ OS_AUTH_URL: at(identity.port, ''), OS_USERNAME: 'u', OS_PASSWORD: 'pass' })
  expect(results[0]).toMatchObject({ name: 'identity', status: 'ok', detail: expect.stringContaining(at(api.port)) })
  expect(results.find(({ name }) => name === 'sign-in')).toMatchObject({ status: 'ok' })
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
