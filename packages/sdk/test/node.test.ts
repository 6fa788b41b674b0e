/** `@oriel/sdk/node`: settings from files and variables, tried out against a Keystone stub, and TLS with an own authority. */
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type ClientOptions, ConnectionError, createClient, SettingsError } from '../src/index.ts'
import { fromClouds, fromEnvironment, trustingFetch } from '../src/node.ts'
import { keystoneStub, PASSWORD, PROJECT } from './keystone-stub.ts'
import { serve } from './serve.ts'

/** A home directory with `files` below `.config/openstack`. */
async function homeWith(files: Record<string, string>) {
  const home = await mkdtemp(join(tmpdir(), 'oriel-sdk-'))
  const path = (name: string) => join(home, '.config/openstack', name)
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(path(name)), { recursive: true })
    await writeFile(path(name), content)
  }
  return { env: { HOME: home }, path, [Symbol.asyncDispose]: () => rm(home, { recursive: true }) }
}

/** What a client with these options sends: its sign-in, and where its first call goes. */
async function sentBy(optionsFor: (authUrl: string) => ClientOptions | Promise<ClientOptions>) {
  await using keystone = await keystoneStub()
  await createClient(await optionsFor(`${keystone.origin}/identity`))
    .at('2.1')
    .listServers()
  const [signIn, call] = keystone.requests
  return { ...(signIn!.body as { auth: { identity: object; scope?: object } }).auth, path: call!.path }
}

const clouds = (authUrl: string) => `
common: &common
  auth_url: ${authUrl}
  user_domain_name: Default
clouds:
  prod:
    auth: { <<: *common, username: alice, password: "${PASSWORD}", project_id: ${PROJECT} }
    region_name: south
    interface: internal
  robot:
    auth_type: v3applicationcredential
    auth: { <<: *common, application_credential_id: 0123, application_credential_secret: "${PASSWORD}" }
    regions: [{ name: south }, north]
    endpoint_type: adminURL
`

describe('fromClouds', () => {
  it('reads user, project, region and interface', async () => {
    const sent = await sentBy(async (authUrl) => {
      await using home = await homeWith({ 'clouds.yaml': clouds(authUrl) })
      return fromClouds({ cloud: 'prod', env: home.env })
    })
    const user = { name: 'alice', domain: { name: 'Default' }, password: PASSWORD }
    expect(sent).toEqual({
      identity: { methods: ['password'], password: { user } },
      scope: { project: { id: PROJECT } },
      path: '/south/internal/v2.1/servers',
    })
  })

  it('reads application credentials as text, the first of the regions, and the old name of interface', async () => {
    const sent = await sentBy(async (authUrl) => {
      await using home = await homeWith({ 'clouds.yml': clouds(authUrl) })
      return fromClouds({ env: { ...home.env, OS_CLOUD: 'robot' } })
    })
    expect(sent).toEqual({
      identity: { methods: ['application_credential'], application_credential: { id: '0123', secret: PASSWORD } },
      path: '/south/admin/v2.1/servers',
    })
  })

  it('takes secrets from secure.yaml, the provider from clouds-public.yaml, and region and interface from the environment', async () => {
    const sent = await sentBy(async (authUrl) => {
      await using home = await homeWith({
        'clouds.yaml': 'clouds: { only: { profile: ours, region_name: south, auth: { user_id: u } } }',
        'secure.yaml': `clouds: { only: { auth: { password: "${PASSWORD}" } } }`,
        'clouds-public.yaml': `public-clouds: { ours: { auth: { auth_url: "${authUrl}", user_id: x } } }`,
      })
      return fromClouds({ env: { ...home.env, OS_REGION_NAME: 'north', OS_INTERFACE: 'internal' } })
    })
    expect(sent.identity).toEqual({ methods: ['password'], password: { user: { id: 'u', password: PASSWORD } } })
    expect(sent.path).toBe('/north/internal/v2.1/servers')
  })

  it('reads the file that OS_CLIENT_CONFIG_FILE or `file` names, with the secure.yaml beside it', async () => {
    await using home = await homeWith({
      'own/prod.yaml': 'clouds: { a: { auth: { auth_url: "http://h", username: u } } }',
      'own/secure.yaml': 'clouds: { a: { auth: { password: p } } }',
    })
    const file = home.path('own/prod.yaml')
    expect(fromClouds({ file, env: home.env })).toHaveProperty('auth')
    expect(fromClouds({ env: { ...home.env, OS_CLIENT_CONFIG_FILE: file } })).toHaveProperty('auth')
  })

  it('refuses files of more than 16 MiB', async () => {
    const auth = 'auth: { auth_url: "http://h", username: u, password: p }'
    await using home = await homeWith({ 'large.yaml': '', 'clouds.yaml': '' })
    const large = home.path('large.yaml')
    await truncate(large, 16 * 2 ** 20 + 1)
    await writeFile(home.path('clouds.yaml'), `clouds: { a: { ${auth}, cacert: "${large}" } }`)
    const problem = /large.yaml has more than 16 MiB/
    expect(() => fromClouds({ file: large, env: home.env })).toThrow(problem)
    expect(() => fromClouds({ file: home.path('clouds.yaml'), env: home.env })).toThrow(problem)
  })

  it('prefers the cloud named openstack', async () => {
    await using home = await homeWith({
      'clouds.yaml': 'clouds: { a: {}, openstack: { auth_type: none, compute_endpoint_override: "http://h/v2.1" } }',
    })
    expect(fromClouds({ env: home.env })).toMatchObject({ endpoint: 'http://h/v2.1' })
  })

  it('signs in under the trust that trust_id names, in the file and in the environment', async () => {
    const scope = { 'OS-TRUST:trust': { id: 't' } }
    const fromFile = await sentBy(async (authUrl) => {
      await using home = await homeWith({
        'clouds.yaml': `clouds: { a: { auth: { auth_url: "${authUrl}", user_id: u, password: "${PASSWORD}", trust_id: t } } }`,
      })
      return fromClouds({ env: home.env })
    })
    expect(fromFile.scope).toEqual(scope)
    const openrc = { OS_USER_ID: 'u', OS_PASSWORD: PASSWORD, OS_TRUST_ID: 't' }
    const fromVariables = await sentBy((OS_AUTH_URL) => fromEnvironment({ ...openrc, OS_AUTH_URL }))
    expect(fromVariables.scope).toEqual(scope)
  })

  it('takes the default domain for a user and a project that name none', async () => {
    const sent = await sentBy(async (authUrl) => {
      const names = 'username: u, project_name: p, user_domain_name: Staff, default_domain_id: d'
      await using home = await homeWith({
        'clouds.yaml': `clouds: { a: { auth: { auth_url: "${authUrl}", password: "${PASSWORD}", ${names} } } }`,
      })
      return fromClouds({ env: home.env })
    })
    expect(sent).toMatchObject({
      identity: { password: { user: { domain: { name: 'Staff' } } } },
      scope: { project: { name: 'p', domain: { id: 'd' } } },
    })
  })

  const auth = 'auth: { auth_url: "http://h", username: u, password: p }'
  it.each([
    ['clouds: { a: {}, b: {} }', /Which cloud of .*clouds.yaml\? It has: a, b$/],
    ['clouds: { other: {} }', /has no cloud a; it has: other$/, 'a'],
    [`clouds: { a: { ${auth}, verify: false } }`, /verify: false is not supported\. Certificates are always checked/],
    [`clouds: { a: { ${auth}, cacert: /does/not/exist } }`, /The ca file \/does\/not\/exist cannot be read/],
    [`clouds: { a: { ${auth}, interface: secret } }`, /interface secret is not known/],
    [`clouds: { a: { ${auth}, auth_type: v3totp } }`, /auth_type v3totp is not supported/],
    [`clouds: { a: { ${auth}, profile: unheard } }`, /profile unheard is not in clouds-public.yaml/],
    ['clouds: { a: { auth: { auth_url: "http://h", username: u } } }', /password is missing.*OS_PASSWORD/],
    ['clouds: { a: { auth: { username: u, password: p } } }', /auth_url is missing/],
    ...(
      [
        ['passcode: 1', /passcode is not supported: sign in with an application credential/],
        ['domain_name: d', /domain_name scopes to a domain, which has no consoles: give a project/],
        ['system_scope: some', /system_scope some is not known: give all/],
        ['pasword: x', /auth.pasword is not supported; known are auth_url, username/],
        ['trust_id: t, project_id: p', /A trust has its own project/],
        ['trust_id: t, application_credential_secret: s', /has its own scope: remove trust_id/],
      ] as const
    ).map(([more, expected]): [string, RegExp] => [
      `clouds: { a: { auth: { auth_url: "http://h", username: u, password: p, ${more} } } }`,
      expected,
    ]),
    [`clouds: { a: { auth: { password: "${PASSWORD} } } }`, /is not valid YAML/],
  ] as [string, RegExp, string?][])('says what is wrong with %j', async (content, expected, cloud) => {
    await using home = await homeWith({ 'clouds.yaml': content })
    const error = thrownBy(() => fromClouds({ cloud, env: home.env }))
    expect(error).toBeInstanceOf(SettingsError)
    expect(error.message).toMatch(expected)
    expect(inspect(error)).not.toContain(PASSWORD)
  })

  it('lists the folders that it searched if no file exists', async () => {
    await using home = await homeWith({})
    expect(thrownBy(() => fromClouds({ env: home.env })).message).toContain(join(home.env.HOME, '.config/openstack'))
    expect(thrownBy(() => fromClouds({ file: '/no/such', env: home.env })).message).toBe('/no/such does not exist')
  })
})

describe('fromEnvironment', () => {
  const openrc = { OS_USERNAME: 'a', OS_PASSWORD: PASSWORD, OS_PROJECT_NAME: 'p', OS_PROJECT_DOMAIN_ID: 'd' }

  it('reads the variables of an openrc file', async () => {
    const sent = await sentBy((authUrl) =>
      fromEnvironment({ ...openrc, OS_AUTH_URL: authUrl, OS_REGION_NAME: 'south', OS_INTERFACE: 'internal' }),
    )
    expect(sent).toEqual({
      identity: {
        methods: ['password'],
        password: { user: { name: 'a', domain: { id: 'default' }, password: PASSWORD } },
      },
      scope: { project: { name: 'p', domain: { id: 'd' } } },
      path: '/south/internal/v2.1/servers',
    })
  })

  it('reads a token, and an application credential', async () => {
    const token = await sentBy((OS_AUTH_URL) => fromEnvironment({ OS_AUTH_URL, OS_TOKEN: PASSWORD }))
    expect(token.identity).toEqual({ methods: ['token'], token: { id: PASSWORD } })
    const credential = await sentBy((OS_AUTH_URL) =>
      fromEnvironment({
        OS_AUTH_URL,
        OS_AUTH_TYPE: 'v3applicationcredential',
        OS_APPLICATION_CREDENTIAL_ID: 'i',
        OS_APPLICATION_CREDENTIAL_SECRET: PASSWORD,
      }),
    )
    expect(credential.identity).toMatchObject({ application_credential: { id: 'i', secret: PASSWORD } })
  })

  it('follows OS_CLOUD to the file', async () => {
    const sent = await sentBy(async (authUrl) => {
      await using home = await homeWith({ 'clouds.yaml': clouds(authUrl) })
      return fromEnvironment({ ...home.env, OS_CLOUD: 'prod' })
    })
    expect(sent.path).toBe('/south/internal/v2.1/servers')
  })

  it('accepts an endpoint without Keystone', () => {
    const options = fromEnvironment({ OS_AUTH_TYPE: 'admin_token', OS_TOKEN: 't', OS_ENDPOINT: 'http://h/v2.1' })
    expect(options).toMatchObject({ endpoint: 'http://h/v2.1' })
  })

  it.each([
    [{ ...openrc, OS_AUTH_URL: 'http://h', OS_INSECURE: 'true' }, /OS_INSECURE is not supported/],
    [openrc, /auth_url is missing \(in the environment: OS_AUTH_URL\)/],
    [{}, /missing/],
  ])('says what is wrong with %j', (env, message) => {
    expect(() => fromEnvironment(env)).toThrow(message)
    expect(() => fromEnvironment(env)).toThrow(SettingsError)
  })
})

describe('trustingFetch', () => {
  const certificates = join(import.meta.dirname, 'certificates')
  const caFile = join(certificates, 'ca.pem')

  async function secureApi() {
    const [cert, key] = await Promise.all(
      ['server.pem', 'server.key'].map((name) => readFile(join(certificates, name))),
    )
    const server = createServer({ cert: cert!, key: key! }, (request, response) => {
      response.setHeader('X-Compute-Request-ID', 'req-9')
      if (request.url === '/servers') response.end('{"servers": []}')
      else response.writeHead(404).end('{"itemNotFound": {"code": 404, "message": "No."}}')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return {
      port: (server.address() as AddressInfo).port,
      [Symbol.asyncDispose]: async () => {
        server.closeAllConnections()
        server.close()
      },
    }
  }

  it('trusts the authority, and gives answers and faults as fetch does', async () => {
    await using api = await secureApi()
    const at = createClient({ endpoint: `https://127.0.0.1:${api.port}`, fetch: trustingFetch({ caFile }) }).at('2.1')
    expect(await at.listServers()).toEqual({ servers: [] })
    await expect(at.showServer({ server_id: 's' })).rejects.toMatchObject({ message: 'No.', requestId: 'req-9' })
  })

  it('takes the authority as text too, in place of a file', async () => {
    await using api = await secureApi()
    const fetch = trustingFetch({ ca: await readFile(caFile, 'utf8'), caFile: '/no/such/file' })
    const at = createClient({ endpoint: `https://127.0.0.1:${api.port}`, fetch }).at('2.1')
    expect(await at.listServers()).toEqual({ servers: [] })
  })

  it.each([
    ['without the authority', '127.0.0.1', undefined, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['for another host name', 'localhost', caFile, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('refuses the certificate %s', async (_, host, ca, code) => {
    await using api = await secureApi()
    const fetch = trustingFetch({ caFile: ca })
    const asked = createClient({ endpoint: `https://${host}:${api.port}`, fetch })
      .at('2.1')
      .listServers()
    await expect(asked).rejects.toBeInstanceOf(ConnectionError)
    await expect(asked).rejects.toMatchObject({ cause: { code } })
  })

  it('verifies certificates under NODE_TLS_REJECT_UNAUTHORIZED=0 as well', async () => {
    await using api = await secureApi()
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    onTestFinished(() => void vi.unstubAllEnvs())
    const client = createClient({ endpoint: `https://localhost:${api.port}`, fetch: trustingFetch({ caFile }) })
    await expect(client.at('2.1').listServers()).rejects.toMatchObject({
      cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    })
    const settings = { OS_AUTH_TYPE: 'none', OS_ENDPOINT: 'https://cloud.example' }
    expect(() => fromEnvironment(settings)).toThrow('NODE_TLS_REJECT_UNAUTHORIZED=0 is not supported. Certificates are')
  })

  it('is used for cacert and OS_CACERT', async () => {
    await using api = await secureApi()
    const OS_ENDPOINT = `https://127.0.0.1:${api.port}`
    const options = fromEnvironment({ OS_AUTH_TYPE: 'none', OS_ENDPOINT, OS_CACERT: caFile })
    expect(await createClient(options).at('2.1').listServers()).toEqual({ servers: [] })
  })

  it('supports http and obeys deadlines', async () => {
    await using api = await serve(({ path }) => (path === '/servers' ? { body: { servers: [] } } : 'silence'))
    const options = { endpoint: api.origin, fetch: trustingFetch({ caFile }) }
    expect(await createClient(options).at('2.1').listServers()).toEqual({ servers: [] })
    const hurried = createClient({ ...options, timeoutMs: 250 }).at('2.1')
    await expect(hurried.showVersion()).rejects.toMatchObject({ reason: 'timeout' })
  })
})

function thrownBy(work: () => unknown): Error {
  try {
    work()
  } catch (error) {
    return error as Error
  }
  return expect.unreachable('it must throw')
}
