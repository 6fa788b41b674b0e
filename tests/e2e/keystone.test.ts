/** Runs the programs with a real Keystone, which authenticates users and the proxy. */
import { randomUUID } from 'node:crypto'
import { createClient, keystonePassword, Unauthorized } from '@oriel/sdk'
import { freePort, requires, type ScriptedServer, scriptedServer } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { KEYSTONE_HOOK_MS, type Keystone, type KeystoneUser, startKeystone } from './parts/keystone.ts'
import { apiConfig, listening, proxyConfig, startApp } from './parts/oriel.ts'
import { asViewer, serveRfb } from './parts/rfb.ts'

const { skip, reason } = requires('keystone')
const id = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
/** Long, because Keystone handles one request at a time. */
const PATIENCE_MS = 30_000

describe.skipIf(skip)(`Oriel with a real Keystone${reason}`, () => {
  const parts = new AsyncDisposableStack()
  let cloud: Cloud
  let hypervisor: ScriptedServer

  beforeAll(async () => {
    hypervisor = parts.use(await scriptedServer(serveRfb))
    cloud = parts.use(await startCloud({ console: hypervisor }))
  }, KEYSTONE_HOOK_MS)
  afterAll(() => parts.disposeAsync())

  it('creates a console for a member of the project', async () => {
    const { status, body } = await cloud.create(await cloud.keystone.token(cloud.member, cloud.project))
    expect([status, body]).toEqual([200, { remote_console: expect.objectContaining({ type: 'novnc' }) }])
  })

  it('answers 404 to a user of another project, as for an unknown server', async () => {
    const token = await cloud.keystone.token(cloud.stranger, cloud.otherProject)
    expect(await cloud.create(token)).toMatchObject({ status: 404, body: { itemNotFound: { code: 404 } } })
  })

  it('refuses a user with the role reader with 403', async () => {
    const token = await cloud.keystone.token(cloud.reader, cloud.project)
    expect(await cloud.create(token)).toMatchObject({ status: 403, body: { forbidden: { code: 403 } } })
  })

  it.for([
    ['an unscoped token', () => cloud.keystone.token(cloud.member)],
    ["the administrator's system token", () => cloud.keystone.systemToken()],
  ] as const)('refuses %s with 403, because it has no project', async ([, token]) => {
    expect(await cloud.create(await token())).toMatchObject({ status: 403 })
  })

  it.for([
    ['no token', undefined],
    ['a token that Keystone never gave', 'gAAAAABnonsense'],
  ] as const)("answers %s with Keystone's 401", async ([, token]) => {
    const { status, headers } = await cloud.create(token)
    expect(status).toBe(401)
    expect(headers.get('www-authenticate')).toBe(`Keystone uri="${cloud.keystone.authUrl.replace('/v3', '')}"`)
  })

  it('refuses an invalid X-Service-Token together with a valid token', async () => {
    const token = await cloud.keystone.token(cloud.member, cloud.project)
    expect(await cloud.create(token, { 'X-Service-Token': 'nonsense' })).toMatchObject({ status: 401 })
  })

  it('refuses a revoked token', async () => {
    const token = await cloud.keystone.token(cloud.member, cloud.project)
    await cloud.keystone.revoke(token)
    expect(await cloud.create(token)).toMatchObject({ status: 401 })
  })

  it('lets the SDK sign in with a password and create a console', async () => {
    const { authUrl } = cloud.keystone
    const signIn = { authUrl, username: cloud.member.name, projectName: 'blue', password: cloud.member.password }
    const auth = keystonePassword(signIn)
    const client = createClient({ endpoint: cloud.endpoint, auth }).at('2.6')
    const body = { remote_console: { protocol: 'vnc', type: 'novnc' } } as const
    const { remote_console } = await client.createRemoteConsole({ server_id: id, body })
    expect(remote_console.url).toContain('/vnc_lite.html?path=')
    const wrong = keystonePassword({ ...signIn, password: 'wrong' })
    const stranger = createClient({ endpoint: cloud.endpoint, auth: wrong }).at('2.6')
    await expect(stranger.createRemoteConsole({ server_id: id, body })).rejects.toThrow(Unauthorized)
  })

  it.for([
    ['the endpoint that it is given', () => ({ endpoint: cloud.endpoint })],
    ["the public endpoint in Keystone's catalogue", () => ({ region: 'RegionOne' })],
  ] as const)(
    'lets the proxy look a token up as its service user at %s, and relay the console',
    async ([, endpoint]) => {
      const port = await freePort()
      const auth = { method: 'password', ...cloud.credentials(cloud.service, 'service') }
      const authority = { ...endpoint(), auth, timeout_ms: PATIENCE_MS }
      const base = proxyConfig(0, port)
      await using proxy = await startApp('proxy', { ...base, authority: { kind: 'nova', ...authority } })
      await listening(proxy)
      const { body } = await cloud.create(await cloud.keystone.token(cloud.member, cloud.project))
      const socket = new WebSocket(`ws://127.0.0.1:${port}/?token=${tokenIn(body)}`, ['binary'])
      const viewer = await asViewer(socket)
      expect(await viewer.echo(Buffer.from('through Keystone'))).toEqual(Buffer.from('through Keystone'))
      socket.terminate()
    },
  )

  it.for([
    ['accepts the service user', 'service', 'service', []],
    [
      'names the missing role of another user',
      'member',
      'blue',
      [
        'auth.keystone.username: Keystone does not let this user look tokens up. Give it the role service: openstack role add --user ada --user-domain Default --project blue --project-domain Default service',
      ],
    ],
  ] as const)('%s in the check of the configuration', async ([, user, project, faults]) => {
    const keystone = cloud.credentials(cloud[user], project)
    const config = {
      ...apiConfig(0, 6080, []),
      auth: { method: 'keystone', keystone },
      tokens: { store: 'sqlite::memory:' },
    }
    await using program = await startApp('api', config, {}, '--check-config', '--online')
    const { code } = await program.exited
    expect([code, program.stderr.split('\n').filter(Boolean)]).toEqual([faults.length === 0 ? 0 : 2, faults])
  })

  it('logs no password and no token', async () => {
    const token = await cloud.keystone.token(cloud.member, cloud.project)
    const { headers } = await cloud.create(token)
    const requestId = headers.get('x-openstack-request-id')
    await cloud.api.waitForLog((record) => record.requestId === requestId && record.msg === 'request')
    const log = JSON.stringify(cloud.api.records) + cloud.api.otherLines.join() + cloud.api.stderr
    expect(log).toContain('/remote-consoles')
    expect(log).not.toContain(token)
    expect(log).not.toContain(cloud.service.password)
  })

  // Must be the last test: it stops Keystone.
  it('answers 503 with Retry-After to uncached tokens while Keystone is down, and accepts cached ones', async () => {
    const known = await cloud.keystone.token(cloud.member, cloud.project)
    const unknown = await cloud.keystone.token(cloud.member, cloud.project)
    expect(await cloud.create(known)).toMatchObject({ status: 200 })
    await cloud.keystone.stop()
    const refused = await cloud.create(unknown)
    expect(refused).toMatchObject({ status: 503, body: { serviceUnavailable: { code: 503 } } })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await cloud.create(known)).toMatchObject({ status: 200 })
    expect((await fetch(`${cloud.origin}/readyz`)).status).toBe(503)
  })
})

describe.skipIf(skip)(`Oriel with a Keystone whose tokens live for seconds${reason}`, () => {
  /** Longer than a busy machine takes to request and use a token. */
  const tokenSeconds = 15
  const parts = new AsyncDisposableStack()
  let cloud: Cloud

  beforeAll(async () => {
    cloud = parts.use(await startCloud({ tokenSeconds }))
  }, KEYSTONE_HOOK_MS)
  afterAll(() => parts.disposeAsync())

  it('refuses an expired token although it was cached, but accepts it together with a service token', async () => {
    const token = await cloud.keystone.token(cloud.member, cloud.project)
    expect(await cloud.create(token)).toMatchObject({ status: 200 })
    await passed(tokenSeconds)
    expect(await cloud.create(token)).toMatchObject({ status: 401 })
    // The API's own token has expired as well, so this also shows that it requests a new one.
    const service = await cloud.keystone.token(cloud.service, cloud.serviceProject)
    expect(await cloud.create(token, { 'X-Service-Token': service })).toMatchObject({ status: 200 })
    const member = await cloud.keystone.token(cloud.member, cloud.project)
    expect(await cloud.create(token, { 'X-Service-Token': member })).toMatchObject({ status: 401 })
  })
})

// The cloud: Keystone with some users, and the API.

interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
}

type Cloud = Awaited<ReturnType<typeof startCloud>>

interface CloudOptions {
  readonly tokenSeconds?: number
  /** The address of the server's VNC console. Default: one without a listener. */
  readonly console?: { readonly host: string; readonly port: number }
}

async function startCloud({ tokenSeconds = 3600, console = { host: '127.0.0.1', port: 1 } }: CloudOptions = {}) {
  await using scope = new AsyncDisposableStack()
  const keystone = scope.use(await startKeystone({ tokenSeconds }))
  const people = await populate(keystone)
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const { host } = console
  const server = { id, name: 'web-1', project_id: people.project, consoles: { vnc: { host, port: console.port } } }
  const credentials = (user: KeystoneUser, projectName: string) => ({
    auth_url: keystone.authUrl,
    username: user.name,
    password: user.password,
    user_domain_name: 'Default',
    project_name: projectName,
    project_domain_name: 'Default',
  })
  const auth = { method: 'keystone', keystone: { ...credentials(people.service, 'service'), timeout_ms: PATIENCE_MS } }
  await keystone.registerCompute(`${origin}/v2.1`)
  const api = scope.use(await startApp('api', { ...apiConfig(port, 6080, [server]), auth }))
  await listening(api)

  /** Requests the server's noVNC console. */
  async function create(token: string | undefined, more: Record<string, string> = {}): Promise<Answered> {
    const response = await fetch(`${origin}/v2.1/servers/${id}/remote-consoles`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'OpenStack-API-Version': 'compute 2.6',
        ...(token === undefined ? {} : { 'X-Auth-Token': token }),
        ...more,
      },
      body: JSON.stringify({ remote_console: { protocol: 'vnc', type: 'novnc' } }),
    })
    return { status: response.status, headers: response.headers, body: await response.json() }
  }

  const rest = scope.move()
  return {
    ...{ ...people, keystone, api, origin, endpoint: `${origin}/v2.1`, credentials, create },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

async function populate(keystone: Keystone) {
  const project = await keystone.createProject('blue')
  const otherProject = await keystone.createProject('green')
  const serviceProject = await keystone.createProject('service')
  return {
    ...{ project, otherProject, serviceProject },
    member: await keystone.createUser('ada', project, 'member'),
    reader: await keystone.createUser('rae', project, 'reader'),
    stranger: await keystone.createUser('eve', otherProject, 'member'),
    service: await keystone.createUser(`oriel-${randomUUID()}`, serviceProject, 'service'),
  }
}

function tokenIn(body: unknown): string {
  const { url } = (body as { remote_console: { url: string } }).remote_console
  return decodeURIComponent(url).split('token=')[1]!
}

/** Waits for tokens to expire, for which there is no event. */
function passed(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1000 * (seconds + 1)))
}
