import { inspect } from 'node:util'
import { afterEach, describe, expect, it, vi } from 'vitest'
import {
  AnswerError,
  type Auth,
  applicationCredential,
  ConnectionError,
  createClient,
  keystonePassword,
  keystoneToken,
  SettingsError,
  Unauthorized,
} from '../src/index.ts'
import { type KeystoneStub, keystoneStub, PASSWORD, PROJECT } from './keystone-stub.ts'
import { serve } from './serve.ts'

const user = { username: 'alice', password: PASSWORD, projectId: PROJECT }
const signedIn = ({ origin }: KeystoneStub, more: object = {}) =>
  keystonePassword({ authUrl: `${origin}/identity`, ...user, ...more })
const failure = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable('it must fail'),
    (error) => error,
  )
const list = (auth: Auth) => createClient({ auth }).at('2.1').listServers()

afterEach(() => {
  vi.useRealTimers()
})

describe('a sign-in', () => {
  const base = { authUrl: '' }
  const project = { scope: { project: { id: PROJECT } } }
  const domain = { id: 'default' }
  it.each([
    [
      'password with names in the default domain',
      (authUrl: string) => keystonePassword({ ...base, authUrl, username: 'a', password: PASSWORD, projectName: 'p' }),
      {
        identity: { methods: ['password'], password: { user: { name: 'a', domain, password: PASSWORD } } },
        scope: { project: { name: 'p', domain } },
      },
    ],
    [
      'password with domains by name and id',
      (authUrl: string) =>
        keystonePassword({
          authUrl,
          username: 'a',
          userDomainName: 'Staff',
          password: PASSWORD,
          projectName: 'p',
          projectDomainId: 'd1',
        }),
      {
        identity: {
          methods: ['password'],
          password: { user: { name: 'a', domain: { name: 'Staff' }, password: PASSWORD } },
        },
        scope: { project: { name: 'p', domain: { id: 'd1' } } },
      },
    ],
    [
      'password with ids',
      (authUrl: string) => keystonePassword({ authUrl, userId: 'u', password: PASSWORD, projectId: PROJECT }),
      { identity: { methods: ['password'], password: { user: { id: 'u', password: PASSWORD } } }, ...project },
    ],
    [
      'password for the system',
      (authUrl: string) => keystonePassword({ authUrl, userId: 'u', password: PASSWORD, systemScope: 'all' }),
      {
        identity: { methods: ['password'], password: { user: { id: 'u', password: PASSWORD } } },
        scope: { system: { all: true } },
      },
    ],
    [
      'password under a trust',
      (authUrl: string) => keystonePassword({ authUrl, userId: 'u', password: PASSWORD, trustId: 't' }),
      {
        identity: { methods: ['password'], password: { user: { id: 'u', password: PASSWORD } } },
        scope: { 'OS-TRUST:trust': { id: 't' } },
      },
    ],
    [
      'token',
      (authUrl: string) => keystoneToken({ authUrl, token: PASSWORD, projectId: PROJECT }),
      { identity: { methods: ['token'], token: { id: PASSWORD } }, ...project },
    ],
    [
      'application credential by id',
      (authUrl: string) => applicationCredential({ authUrl, id: 'c', secret: PASSWORD }),
      { identity: { methods: ['application_credential'], application_credential: { id: 'c', secret: PASSWORD } } },
    ],
    [
      'application credential by name',
      (authUrl: string) => applicationCredential({ authUrl, name: 'n', userId: 'u', secret: PASSWORD }),
      {
        identity: {
          methods: ['application_credential'],
          application_credential: { name: 'n', secret: PASSWORD, user: { id: 'u' } },
        },
      },
    ],
  ])('by %s sends what Keystone asks for', async (_, auth, expected) => {
    await using keystone = await keystoneStub()
    expect(await auth(`${keystone.origin}/identity`).headers()).toEqual({ 'X-Auth-Token': 'token-1' })
    expect(keystone.requests).toMatchObject([{ method: 'POST', body: { auth: expected } }])
    expect(keystone.requests[0]!.body).toEqual({ auth: expected })
  })

  it.each(['', '/', '/v3', '/v3/', '/v2.0'])('finds Keystone at an address that ends in %j', async (ending) => {
    await using keystone = await keystoneStub()
    await signedIn(keystone, { authUrl: `${keystone.origin}/identity${ending}` }).headers()
    expect(keystone.signIns()).toHaveLength(1)
  })

  it.each([
    () => keystonePassword({ authUrl: 'http://h', password: PASSWORD }),
    () => applicationCredential({ authUrl: 'http://h', secret: PASSWORD }),
    () => keystonePassword({ ...user, authUrl: 'h' }),
  ])('with incomplete options is refused at once', (make) => {
    expect(make).toThrow(SettingsError)
  })

  it('that Keystone refuses is Unauthorized, is not repeated, and does not stop the next one', async () => {
    await using keystone = await keystoneStub()
    const error = await failure(list(signedIn(keystone, { password: 'wrong-password' })))
    expect(error).toBeInstanceOf(Unauthorized)
    expect(error).toMatchObject({ operation: 'signIn', message: /requires authentication/ })
    expect(keystone.requests).toHaveLength(1)
  })

  it('has a deadline', async () => {
    await using keystone = await keystoneStub({ answer: () => 'silence' })
    expect(await failure(list(signedIn(keystone, { timeoutMs: 50 })))).toMatchObject({ reason: 'timeout' })
  })

  it.each([{ body: {} }, { body: { token: { expires_at: 'x' } } }, { text: 'no json' }])(
    'with an unusable response is an AnswerError: %j',
    async (answer) => {
      await using keystone = await keystoneStub({ answer: () => ({ status: 201, ...answer }) })
      expect(await failure(list(signedIn(keystone)))).toBeInstanceOf(AnswerError)
    },
  )

  it('continues for other callers if one aborts', async () => {
    await using keystone = await keystoneStub()
    const auth = signedIn(keystone)
    const impatient = failure(auth.headers(AbortSignal.abort(new Error('enough'))))
    const patient = auth.headers()
    expect((await impatient).message).toBe('enough')
    expect(await patient).toEqual({ 'X-Auth-Token': 'token-1' })
    expect(keystone.signIns()).toHaveLength(1)
  })

  it('shows its secrets neither printed nor as JSON nor in errors', async () => {
    await using keystone = await keystoneStub({
      answer: () => ({ status: 400, body: { error: { code: 400, message: `bad ${PASSWORD}` } } }),
    })
    const auth = signedIn(keystone)
    const shown = [auth, createClient({ auth }), await failure(auth.headers())]
    for (const value of shown) {
      expect(inspect(value, { depth: 9, showHidden: true }) + JSON.stringify(value)).not.toContain(PASSWORD)
    }
  })
})

describe('a token', () => {
  it('is shared by concurrent and later calls', async () => {
    await using keystone = await keystoneStub()
    const client = createClient({ auth: signedIn(keystone) })
    await Promise.all([client.at('2.1').listServers(), client.at('2.6').listServers()])
    await client.at('2.1').listServers()
    expect(keystone.signIns()).toHaveLength(1)
  })

  it('is renewed once when the API refuses it for several calls', async () => {
    await using keystone = await keystoneStub()
    const client = createClient({ auth: signedIn(keystone) })
    await client.at('2.1').listServers()
    keystone.revokeAll()
    await Promise.all(Array.from({ length: 5 }, () => client.at('2.1').listServers()))
    expect(keystone.signIns()).toHaveLength(2)
  })

  it.each([0, 7200, -7200])('is renewed before it expires, with clocks %i s apart', async (clockAheadSeconds) => {
    vi.useFakeTimers({ toFake: ['Date'] })
    await using keystone = await keystoneStub({ lifeSeconds: 3600, clockAheadSeconds })
    const auth = signedIn(keystone)
    const tokenAfter = async (seconds: number) => {
      vi.setSystemTime(Date.now() + seconds * 1000)
      return (await auth.headers())['X-Auth-Token']
    }
    expect(await tokenAfter(0)).toBe('token-1')
    expect(await tokenAfter(3500)).toBe('token-1')
    expect(await tokenAfter(50)).toBe('token-2')
  })
})

describe('the catalogue', () => {
  it.each([
    [{}, '/north/public/v2.1/servers'],
    [{ region: 'south' }, '/south/public/v2.1/servers'],
    [{ region: 'south', interface: 'internal' }, '/south/internal/v2.1/servers'],
  ])('with %j leads to %s', async (place, path) => {
    await using keystone = await keystoneStub()
    await list(signedIn(keystone, place))
    expect(keystone.requests[1]).toMatchObject({ path, headers: { 'x-auth-token': 'token-1' } })
  })

  it('is ignored if an endpoint is given', async () => {
    await using keystone = await keystoneStub()
    await createClient({ endpoint: `${keystone.origin}/own`, auth: signedIn(keystone) })
      .at('2.1')
      .listServers()
    expect(keystone.requests[1]!.path).toBe('/own/servers')
  })

  it('without the region causes an error that lists its regions', async () => {
    await using keystone = await keystoneStub()
    const error = await failure(list(signedIn(keystone, { region: 'west' })))
    expect(error).toBeInstanceOf(SettingsError)
    expect(error.message).toMatch(/region west and interface public.*north admin, .*south public$/)
  })

  it('causes a SettingsError if a token without a project has none', async () => {
    const token = { expires_at: '2099-01-01T00:00:00Z', issued_at: '2098-01-01T00:00:00Z' }
    await using keystone = await serve(() => ({ headers: { 'X-Subject-Token': 't' }, body: { token } }))
    const auth = keystonePassword({ authUrl: keystone.origin, username: 'a', password: PASSWORD })
    expect((await failure(list(auth))).message).toContain('give a project or an endpoint')
  })
})

it('causes a ConnectionError while Keystone is unavailable', async () => {
  const away = await keystoneStub()
  await away[Symbol.asyncDispose]()
  expect(await failure(list(signedIn(away)))).toBeInstanceOf(ConnectionError)
})
