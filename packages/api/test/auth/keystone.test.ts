/** Keystone's tokens, against a Keystone whose every answer is scripted. */
import { loadConfig, silentLogger } from '@oriel/runtime'
import { describe, expect, test } from 'vitest'
import { type Authenticator, AuthUnavailable, Unauthenticated } from '../../src/auth/authenticator.ts'
import { createAuthenticator } from '../../src/auth/create.ts'
import { createKeystoneAuthenticator } from '../../src/auth/keystone.ts'
import { KeystoneConfig, keystoneFaults } from '../../src/auth/keystone-config.ts'
import { maxResponseBytes } from '../../src/auth/request-json.ts'
import { ApiConfig } from '../../src/config.ts'
import { authenticatorSuite } from './authenticator.suite.ts'
import {
  type Answer,
  type Asked,
  certificateFile,
  type ScriptedHttpServer,
  scriptedHttpServer,
} from './scripted-server.ts'

const ada = { user: { id: 'ada' }, project: { id: 'p1' }, roles: [{ name: 'Member' }, { name: 'reader' }] }
const nova = { user: { id: 'nova' }, project: { id: 'services' }, roles: [{ name: 'service' }] }
const noPassword = {
  username: undefined,
  password: undefined,
  user_domain_name: undefined,
  project_name: undefined,
  project_domain_id: undefined,
}

authenticatorSuite('keystone', async () => {
  const token = 'token-of-ada'
  const tokens = { [token]: ada, alone: { user: { id: 'u' } } }
  const keystone = await fakeKeystone({ tokens, expired: ['token-that-was'] })
  return {
    authenticator: keystone.authenticator,
    known: { token, identity: { userId: 'ada', projectId: 'p1', roles: ['member', 'reader'] } },
    withoutProject: 'alone',
    unknown: 'token-of-nobody',
    expired: 'token-that-was',
    away: () => keystone.stop(),
    [Symbol.asyncDispose]: () => keystone[Symbol.asyncDispose](),
  }
})

describe('the identity of a token', () => {
  test('has user, project, and roles in lower case', async () => {
    await using keystone = await fakeKeystone()
    expect(await keystone.identify('ada')).toEqual({ userId: 'ada', projectId: 'p1', roles: ['member', 'reader'] })
  })

  test.for([
    ['an unscoped token', { user: { id: 'u' } }, []],
    ['a system token', { user: { id: 'u' }, system: { all: true }, roles: [{ name: 'admin' }] }, ['admin']],
    ['a domain token', { user: { id: 'u' }, domain: { id: 'd' }, roles: [{ name: 'admin' }] }, ['admin']],
  ] as const)('%s has no project', async ([, described, roles]) => {
    await using keystone = await fakeKeystone({ tokens: { t: described } })
    expect(await keystone.identify('t')).toEqual({ userId: 'u', roles })
  })

  test('is looked up with the token as subject, authorised by our own, without a catalogue', async () => {
    await using keystone = await fakeKeystone()
    await keystone.identify('ada')
    expect(keystone.lookups()).toMatchObject([
      { path: '/v3/auth/tokens?nocatalog', headers: { 'x-auth-token': 'own-1', 'x-subject-token': 'ada' } },
    ])
  })

  test.for([
    ['unknown', 'nobody'],
    ['absent', undefined],
    ['empty', ''],
    ['with a line break', 'ada\r\nX-Evil: 1'],
    ['beyond ASCII', 'ädä'],
  ])('%s: 401', async ([, token]) => {
    await using keystone = await fakeKeystone()
    await expect(keystone.identify(token)).rejects.toThrow(Unauthenticated)
  })

  test('has a challenge with Keystone without the version, or the configured URI', async () => {
    await using plain = await fakeKeystone()
    expect(plain.authenticator.wwwAuthenticate).toBe(`Keystone uri="${plain.origin}"`)
    await using configured = await fakeKeystone({
      config: { www_authenticate_uri: 'https://keystone.example/identity' },
    })
    expect(configured.authenticator.wwwAuthenticate).toBe('Keystone uri="https://keystone.example/identity"')
  })

  test.for(['/v3', '/v3/', '', '/'])('is looked up with an auth_url that ends in "%s"', async (end) => {
    await using keystone = await fakeKeystone({ authPath: end })
    expect(await keystone.identify('ada')).toMatchObject({ userId: 'ada' })
    expect(keystone.authenticator.wwwAuthenticate).toBe(`Keystone uri="${keystone.origin}"`)
  })
})

describe('our own token', () => {
  const signIns: [string, object, object][] = [
    [
      'a password, names and domains',
      {},
      {
        identity: {
          methods: ['password'],
          password: { user: { name: 'oriel', domain: { name: 'Default' }, password: 'secret' } },
        },
        scope: { project: { name: 'service', domain: { id: 'default' } } },
      },
    ],
    [
      'a password and names in the default domain',
      nothing('user_domain_name', 'project_domain_id'),
      {
        identity: {
          methods: ['password'],
          password: { user: { name: 'oriel', domain: { id: 'default' }, password: 'secret' } },
        },
        scope: { project: { name: 'service', domain: { id: 'default' } } },
      },
    ],
    [
      'a password and ids',
      {
        ...nothing('username', 'user_domain_name', 'project_name', 'project_domain_id'),
        user_id: 'u',
        project_id: 'p',
      },
      {
        identity: { methods: ['password'], password: { user: { id: 'u', password: 'secret' } } },
        scope: { project: { id: 'p' } },
      },
    ],
    [
      'a password and system scope',
      { ...nothing('project_name', 'project_domain_id'), system_scope: 'all' },
      { scope: { system: { all: true } } },
    ],
    [
      'a password and a domain',
      { ...nothing('project_name', 'project_domain_id'), domain_name: 'Ops' },
      { scope: { domain: { name: 'Ops' } } },
    ],
    [
      'an application credential by id',
      { ...noPassword, application_credential_id: 'ac', application_credential_secret: 's' },
      { identity: { methods: ['application_credential'], application_credential: { id: 'ac', secret: 's' } } },
    ],
    [
      'an application credential by name',
      {
        ...noPassword,
        username: 'oriel',
        user_domain_id: 'default',
        application_credential_name: 'ac',
        application_credential_secret: 's',
      },
      {
        identity: {
          methods: ['application_credential'],
          application_credential: { name: 'ac', user: { name: 'oriel', domain: { id: 'default' } }, secret: 's' },
        },
      },
    ],
  ]

  test.for(signIns)('%s', async ([, config, auth]) => {
    await using keystone = await fakeKeystone({ config })
    await keystone.identify('ada')
    const sent = JSON.parse(keystone.signIns()[0]!.body)
    expect(sent).toMatchObject({ auth })
    if (!('scope' in auth)) expect(sent.auth.scope).toBeUndefined()
  })

  test('serves many look-ups after one sign-in, also concurrent ones', async () => {
    await using keystone = await fakeKeystone()
    await Promise.all(['ada', 'nova', 'ada2'].map((token) => keystone.identify(token).catch(() => undefined)))
    await keystone.identify('eve').catch(() => undefined)
    expect(keystone.lookups()).toHaveLength(4)
    expect(keystone.signIns()).toHaveLength(1)
  })

  test('is renewed before its expiry by Keystone’s clock', async () => {
    await using keystone = await fakeKeystone({ ownSeconds: 100 })
    await keystone.identify('ada')
    keystone.pass(89)
    await keystone.identify('nova')
    expect(keystone.signIns()).toHaveLength(1)
    keystone.pass(2)
    await keystone.identify('eve').catch(() => undefined)
    expect(keystone.signIns()).toHaveLength(2)
  })

  test('is renewed once if Keystone refuses it, and the look-up is repeated', async () => {
    await using keystone = await fakeKeystone()
    await keystone.identify('ada')
    keystone.revoked.add('own-1')
    expect(await keystone.identify('nova')).toMatchObject({ userId: 'nova' })
    expect(keystone.lookups().map(({ headers }) => headers['x-auth-token'])).toEqual(['own-1', 'own-1', 'own-2'])
  })

  test('causes 503 instead of 401 if Keystone refuses it twice', async () => {
    await using keystone = await fakeKeystone()
    keystone.revoked.add('own-1').add('own-2')
    await expect(keystone.identify('ada')).rejects.toThrow(AuthUnavailable)
    expect(keystone.lookups()).toHaveLength(2)
  })

  test('causes 503 with a wrong password, which is not tried again at once, so that Keystone does not lock the user out', async () => {
    await using keystone = await fakeKeystone({ config: { password: 'wrong' } })
    await expect(keystone.identify('ada')).rejects.toThrow(/our own credential/)
    await expect(keystone.identify('nova')).rejects.toThrow(AuthUnavailable)
    expect(keystone.signIns()).toHaveLength(1)
    keystone.pass(6)
    await expect(keystone.identify('nova')).rejects.toThrow(AuthUnavailable)
    expect(keystone.signIns()).toHaveLength(2)
  })

  test('causes 503 if its user may not look tokens up, with the reason in the log', async () => {
    await using keystone = await fakeKeystone()
    keystone.lookupAnswer = { status: 403, body: {} }
    await expect(keystone.identify('ada')).rejects.toThrow(/role service or admin/)
  })
})

describe('the cache', () => {
  test('keeps an identity for cache_seconds, after which a revocation is noticed', async () => {
    await using keystone = await fakeKeystone({ config: { cache_seconds: 60 } })
    await keystone.identify('ada')
    keystone.revoked.add('ada')
    keystone.pass(59)
    expect(await keystone.identify('ada')).toMatchObject({ userId: 'ada' })
    keystone.pass(2)
    await expect(keystone.identify('ada')).rejects.toThrow(Unauthenticated)
  })

  test('keeps an identity until the token expires', async () => {
    await using keystone = await fakeKeystone({ tokenSeconds: 10, config: { cache_seconds: 300 } })
    await keystone.identify('ada')
    keystone.pass(11)
    await expect(keystone.identify('ada')).rejects.toThrow(Unauthenticated)
    expect(keystone.lookups()).toHaveLength(1)
  })

  test('refuses a token that has expired with 401, not 503, while Keystone is stopped', async () => {
    await using keystone = await fakeKeystone({ tokenSeconds: 1000, config: { cache_seconds: 300 } })
    await keystone.identify('ada')
    await keystone.stop()
    keystone.pass(999)
    await expect(keystone.identify('ada')).rejects.toThrow(AuthUnavailable)
    keystone.pass(2)
    await expect(keystone.identify('ada')).rejects.toThrow(Unauthenticated)
  })

  test('lets Keystone decide about a token that has expired by our clock when Keystone describes it', async () => {
    await using keystone = await fakeKeystone()
    const expired = { ...ada, expires_at: new Date(Date.now() - 60_000).toISOString() }
    keystone.lookupAnswer = { status: 200, body: { token: expired } }
    for (const _ of [1, 2]) expect(await keystone.identify('ada')).toMatchObject({ userId: 'ada' })
    expect(keystone.lookups()).toHaveLength(2)
  })

  test('lets Keystone decide about an expired token beside a service token', async () => {
    await using keystone = await fakeKeystone({ tokenSeconds: 10 })
    await keystone.identify('ada')
    keystone.pass(11)
    const described = { ...nova, expires_at: '2100-01-01T00:00:00Z' }
    keystone.lookupAnswer = { status: 200, body: { token: described } }
    await keystone.identify('ada', { serviceToken: 'nova' })
    expect(keystone.lookups().at(-1)?.path).toBe('/v3/auth/tokens?nocatalog&allow_expired=1')
  })

  test('keeps nothing with cache_seconds = 0', async () => {
    await using keystone = await fakeKeystone({ config: { cache_seconds: 0 } })
    for (const token of ['ada', 'ada', 'nobody', 'nobody']) await keystone.identify(token).catch(() => undefined)
    expect(keystone.lookups()).toHaveLength(4)
  })

  test('keeps a refusal for ten seconds', async () => {
    await using keystone = await fakeKeystone()
    await expect(keystone.identify('late')).rejects.toThrow(Unauthenticated)
    keystone.tokens.late = ada
    keystone.pass(9)
    await expect(keystone.identify('late')).rejects.toThrow(Unauthenticated)
    expect(keystone.lookups()).toHaveLength(1)
    keystone.pass(2)
    expect(await keystone.identify('late')).toMatchObject({ userId: 'ada' })
  })

  test('keeps at most ten thousand refusals, which evict no identities', async () => {
    await using keystone = await fakeKeystone()
    await keystone.identify('ada')
    for (let i = 0; i < 10_001; i += 500) {
      await Promise.allSettled(Array.from({ length: 500 }, (_, k) => keystone.identify(`guess-${i + k}`)))
    }
    const before = keystone.lookups().length
    await keystone.identify('ada')
    await expect(keystone.identify('guess-10001')).rejects.toThrow(Unauthenticated)
    expect(keystone.lookups()).toHaveLength(before)
    await expect(keystone.identify('guess-0')).rejects.toThrow(Unauthenticated)
    expect(keystone.lookups()).toHaveLength(before + 1)
  })

  test('shares one look-up among twenty concurrent requests with one token', async () => {
    await using keystone = await fakeKeystone()
    const all = await Promise.all(Array.from({ length: 20 }, () => keystone.identify('ada')))
    expect(new Set(all.map(({ userId }) => userId))).toEqual(new Set(['ada']))
    expect(keystone.lookups()).toHaveLength(1)
  })

  test('continues a shared look-up when one of its requests is aborted', async () => {
    await using keystone = await fakeKeystone()
    const gate = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    keystone.beforeLookup = () => {
      asked.resolve()
      return gate.promise
    }
    const leaving = new AbortController()
    const left = keystone.identify('ada', { signal: leaving.signal })
    const stayed = keystone.identify('ada')
    await asked.promise
    leaving.abort()
    await expect(left).rejects.toThrow()
    gate.resolve()
    expect(await stayed).toMatchObject({ userId: 'ada' })
    expect(keystone.lookups()).toHaveLength(1)
  })
})

describe('an unavailable Keystone', () => {
  test('causes 503 with Retry-After if stopped, except for cached identities', async () => {
    await using keystone = await fakeKeystone({ config: { cache_seconds: 60 } })
    await keystone.identify('ada')
    await keystone.stop()
    await expect(keystone.identify('nova')).rejects.toMatchObject({ name: 'AuthUnavailable', retryAfterSeconds: 5 })
    expect(await keystone.identify('ada')).toMatchObject({ userId: 'ada' })
    keystone.pass(61)
    await expect(keystone.identify('ada')).rejects.toThrow(AuthUnavailable)
  })

  test('is tried again at the next request', async () => {
    await using keystone = await fakeKeystone()
    keystone.lookupAnswer = { status: 500 }
    await expect(keystone.identify('ada')).rejects.toThrow(AuthUnavailable)
    keystone.lookupAnswer = undefined
    expect(await keystone.identify('ada')).toMatchObject({ userId: 'ada' })
  })

  test.for([
    ['500', { status: 500, body: 'oops' }, 5],
    ['503 with its own Retry-After', { status: 503, headers: { 'Retry-After': '17' } }, 17],
    ['429', { status: 429, headers: { 'Retry-After': '3' } }, 3],
    ['503 until next year', { status: 503, headers: { 'Retry-After': '31536000' } }, 5],
    ['a redirect', { status: 302, headers: { Location: 'http://127.0.0.1:1/' } }, 5],
    ['400', { status: 400, body: {} }, 5],
    ['200 without a token', { status: 200, body: { error: {} } }, 5],
    ['200 and no JSON', { status: 200, body: '<html>' }, 5],
    ['200 without a user', { status: 200, body: { token: { expires_at: '2100-01-01T00:00:00Z' } } }, 5],
  ] as [string, Answer, number][])(
    'causes 503 if it responds to a look-up with %s',
    async ([, answer, retryAfterSeconds]) => {
      await using keystone = await fakeKeystone()
      keystone.lookupAnswer = answer
      await expect(keystone.identify('ada')).rejects.toMatchObject({ name: 'AuthUnavailable', retryAfterSeconds })
    },
  )

  test.for([
    [500, {}],
    [404, {}],
    [200, { 'X-Subject-Token': 'own' }],
    [201, {}],
  ] as const)('causes 503 if it responds to a sign-in with %s', async ([status, headers]) => {
    await using keystone = await fakeKeystone()
    keystone.signInAnswer = { status, headers, body: {} }
    await expect(keystone.identify('ada')).rejects.toThrow(AuthUnavailable)
  })

  test('causes 503 after timeout_ms if it does not respond', async () => {
    await using keystone = await fakeKeystone({ config: { timeout_ms: 200 } })
    keystone.beforeLookup = () => new Promise(() => undefined)
    await expect(keystone.identify('ada')).rejects.toThrow(/timeout/)
  })

  test('causes 503 after timeout_ms if its response does not end', async () => {
    await using keystone = await fakeKeystone({ config: { timeout_ms: 200 } })
    keystone.script = (_, response) => {
      response.writeHead(200).write('{"token":')
      return undefined
    }
    await expect(keystone.identify('ada')).rejects.toThrow(/timeout/)
  })

  test('is cut off if its response exceeds a mebibyte', async () => {
    await using keystone = await fakeKeystone()
    const cut = Promise.withResolvers<void>()
    keystone.script = (_, response) => {
      const chunk = Buffer.alloc(64 * 1024, 0x20)
      const more = () => {
        while (!response.destroyed && response.write(chunk)) {}
      }
      response.on('drain', more).on('close', cut.resolve)
      more()
      return undefined
    }
    await expect(keystone.identify('ada')).rejects.toThrow(new RegExp(`longer than ${maxResponseBytes}`))
    await cut.promise
  })

  test('causes 503 for more than a thousand concurrent look-ups', async () => {
    await using keystone = await fakeKeystone()
    const gate = Promise.withResolvers<void>()
    keystone.beforeLookup = () => gate.promise
    const waiting = Array.from({ length: 1000 }, (_, i) => keystone.identify(`guess-${i}`).catch(() => undefined))
    await expect(keystone.identify('one-more')).rejects.toMatchObject({ retryAfterSeconds: 1 })
    gate.resolve()
    await Promise.all(waiting)
  })

  test('fails readiness', async () => {
    await using keystone = await fakeKeystone()
    await expect(keystone.authenticator.check?.()).resolves.toBeUndefined()
    keystone.script = () => ({ status: 502 })
    await expect(keystone.authenticator.check?.()).rejects.toThrow(AuthUnavailable)
    await keystone.stop()
    await expect(keystone.authenticator.check?.()).rejects.toThrow(AuthUnavailable)
  })

  test('does not delay the shutdown of the API', async () => {
    await using keystone = await fakeKeystone()
    const asked = Promise.withResolvers<void>()
    keystone.beforeLookup = () => {
      asked.resolve()
      return new Promise(() => undefined)
    }
    const waiting = keystone.identify('ada')
    const ended = expect(waiting).rejects.toThrow(/about to stop/)
    await asked.promise
    await keystone.authenticator[Symbol.asyncDispose]()
    await ended
  })
})

describe('the check of its role', () => {
  const remedyFor = async (config: object) => {
    await using keystone = await fakeKeystone({ config })
    keystone.lookupAnswer = { status: 403, body: {} }
    return await keystone.authenticator.verify!().catch(({ key, message }) => [
      key,
      message.split('role service: ').at(-1),
    ])
  }

  test('asks without a token to look up, since Keystone lets any user look up its own', async () => {
    await using keystone = await fakeKeystone()
    keystone.lookupAnswer = { status: 404, body: {} }
    await expect(keystone.authenticator.verify?.()).resolves.toBeUndefined()
    expect(keystone.lookups()).toMatchObject([{ path: '/v3/auth/tokens?nocatalog' }])
    expect(keystone.lookups()[0]!.headers).not.toHaveProperty('x-subject-token')
  })

  test.for([
    [
      {},
      'username',
      'openstack role add --user oriel --user-domain Default --project service --project-domain default service',
    ],
    [
      { username: "o'riel x", user_domain_name: 'Default', project_domain_id: undefined },
      'username',
      "openstack role add --user 'o'\\''riel x' --user-domain Default --project service service",
    ],
    [
      {
        ...nothing('username', 'project_name', 'project_domain_id', 'user_domain_name'),
        user_id: 'u1',
        project_id: 'p1',
      },
      'user_id',
      'openstack role add --user u1 --project p1 service',
    ],
    [
      { ...nothing('project_name', 'project_domain_id'), system_scope: 'all' },
      'username',
      'openstack role add --user oriel --user-domain Default --system all service',
    ],
    [
      { ...nothing('project_name', 'project_domain_id'), domain_name: 'Cloud' },
      'username',
      'openstack role add --user oriel --user-domain Default --domain Cloud service',
    ],
    [
      { ...noPassword, application_credential_id: 'ac', application_credential_secret: 's' },
      'application_credential_id',
      'then create the application credential again, with that role',
    ],
  ] as const)('names the key and the remedy for %o', async ([config, key, remedy]) => {
    expect(await remedyFor(config)).toEqual([key, remedy])
  })
})

describe('X-Service-Token', () => {
  test('causes 401 if invalid beside a valid user token', async () => {
    await using keystone = await fakeKeystone()
    await expect(keystone.identify('ada', { serviceToken: 'nobody' })).rejects.toThrow(Unauthenticated)
  })

  test('causes 401 without a user token', async () => {
    await using keystone = await fakeKeystone()
    await expect(keystone.identify(undefined, { serviceToken: 'nova' })).rejects.toThrow(Unauthenticated)
  })

  test('with the role service lets Keystone accept an expired user token', async () => {
    await using keystone = await fakeKeystone({ expired: ['old'] })
    await expect(keystone.identify('old')).rejects.toThrow(Unauthenticated)
    expect(await keystone.identify('old', { serviceToken: 'nova' })).toMatchObject({ userId: 'ada' })
    expect(keystone.lookups().at(-1)?.path).toBe('/v3/auth/tokens?nocatalog&allow_expired=1')
  })

  test('with the role service does not affect requests without it', async () => {
    await using keystone = await fakeKeystone({ expired: ['old'] })
    await keystone.identify('old', { serviceToken: 'nova' })
    await expect(keystone.identify('old')).rejects.toThrow(Unauthenticated)
  })

  test('without the role service does not revive an expired user token', async () => {
    await using keystone = await fakeKeystone({ expired: ['old'] })
    await expect(keystone.identify('old', { serviceToken: 'ada' })).rejects.toThrow(Unauthenticated)
  })
})

describe('TLS verification', () => {
  test('accepts a certificate of the CA in cafile', async () => {
    await using keystone = await fakeKeystone({ certificate: 'server.pem' })
    expect(await keystone.identify('ada')).toMatchObject({ userId: 'ada' })
  })

  test.for([
    ['a man in the middle, signed by another CA', 'impostor.pem', true],
    ['a certificate for another host', 'other-host.pem', true],
    ['a CA that only cafile would name', 'server.pem', false],
  ] as const)('refuses %s, even with NODE_TLS_REJECT_UNAUTHORIZED=0', async ([, certificate, withCa]) => {
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      await using keystone = await fakeKeystone({ certificate, withCa })
      await expect(keystone.identify('ada')).rejects.toThrow(AuthUnavailable)
      expect(keystone.asked).toEqual([])
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
    }
  })

  test('reports a missing cafile at the start', async () => {
    const config = loaded({ auth_url: 'https://keystone.example', cafile: 'no/such.pem' })
    expect(() => createKeystoneAuthenticator(config)).toThrow(/ENOENT/)
  })
})

describe('configuration', () => {
  test.for([
    ['no credential', nothing('password'), /no credential/],
    ['half a credential', { ...noPassword, application_credential_id: 'x' }, /no credential/],
    ['two credentials', { application_credential_id: 'x', application_credential_secret: 's' }, /two credentials/],
    ['no user', nothing('username'), /no user:/],
    ['an application credential without id', { ...noPassword, application_credential_secret: 's' }, /no user:/],
    ['no scope', nothing('project_name', 'project_domain_id'), /no scope/],
    ['two scopes', { system_scope: 'all' }, /no scope, or several/],
    [
      'a scope for an application credential',
      { ...noPassword, application_credential_id: 'x', application_credential_secret: 's', project_id: 'p' },
      /has its project already/,
    ],
    ['a malformed auth_url', { auth_url: 'keystone' }, /the URL of Keystone/],
    ['a password in auth_url', { auth_url: 'http://a:b@keystone' }, /the URL of Keystone/],
    ['a verification switch', { insecure: true }, /unknown key/],
  ] as const)('%s is a fault', ([, config, message]) => {
    expect(() => loaded(config)).toThrow(message)
  })

  test.for(['keystone', 'jwt'])('has a fault for auth.method = "%s" without its table', (method) => {
    expect(() => loadConfig(ApiConfig, { toml: `auth.method = "${method}"` })).toThrow(`give the table auth.${method}`)
  })

  test('may come from the environment alone', async () => {
    const env = {
      ORIEL_AUTH__METHOD: 'keystone',
      ORIEL_AUTH__KEYSTONE__AUTH_URL: 'http://127.0.0.1:5000',
      ORIEL_AUTH__KEYSTONE__APPLICATION_CREDENTIAL_ID: 'ac',
      ORIEL_AUTH__KEYSTONE__APPLICATION_CREDENTIAL_SECRET: 's',
    }
    await using authenticator = await createAuthenticator(loadConfig(ApiConfig, { env }).auth, { log: silentLogger() })
    expect(authenticator.wwwAuthenticate).toBe('Keystone uri="http://127.0.0.1:5000"')
  })

  test('does not print the password', () => {
    expect(JSON.stringify(loaded({}))).not.toContain('secret')
  })
})

// Scripts

interface FakeOptions {
  /** Over the keys of a password of the user oriel in the project service; undefined takes a key away. */
  readonly config?: object
  readonly authPath?: string
  readonly tokens?: Record<string, object>
  /** Tokens that Keystone describes only with allow_expired. */
  readonly expired?: readonly string[]
  readonly tokenSeconds?: number
  readonly ownSeconds?: number
  readonly certificate?: string
  readonly withCa?: boolean
}

interface FakeKeystone extends ScriptedHttpServer {
  readonly authenticator: Authenticator
  readonly tokens: Record<string, object>
  readonly revoked: Set<string>
  lookupAnswer: Answer | undefined
  signInAnswer: Answer | undefined
  beforeLookup: () => Promise<void> | undefined
  identify(token: string | undefined, more?: object): ReturnType<Authenticator['authenticate']>
  /** Lets time pass for the authenticator and for Keystone. */
  pass(seconds: number): void
  signIns(): readonly Asked[]
  lookups(): readonly Asked[]
}

async function fakeKeystone(options: FakeOptions = {}): Promise<FakeKeystone> {
  const startMs = Date.now()
  let nowMs = startMs
  let signedIn = 0
  const at = (seconds: number) => new Date(startMs + 1000 * seconds).toISOString()
  const ends = at(options.tokenSeconds ?? 3600)
  const isSignIn = ({ method }: Asked) => method === 'POST'

  function signIn({ body }: Asked): Answer {
    if (body.includes('wrong')) return { status: 401, body: {} }
    signedIn += 1
    const issued = (nowMs - startMs) / 1000
    const token = { issued_at: at(issued), expires_at: at(issued + (options.ownSeconds ?? 3600)) }
    return { status: 201, headers: { 'X-Subject-Token': `own-${signedIn}` }, body: { token } }
  }

  function lookUp({ path, headers }: Asked): Answer {
    const [own, token] = [String(headers['x-auth-token']), String(headers['x-subject-token'])]
    if (fake.revoked.has(own)) return { status: 401, body: {} }
    const isOver = options.expired?.includes(token) || nowMs > Date.parse(ends)
    const described = options.expired?.includes(token) ? ada : fake.tokens[token]
    if (!described || fake.revoked.has(token) || (isOver && !path.includes('allow_expired=1'))) return { status: 404 }
    return { status: 200, body: { token: { ...described, expires_at: ends } } }
  }

  const server = await scriptedHttpServer(async (asked) => {
    if (isSignIn(asked)) return fake.signInAnswer ?? signIn(asked)
    if (asked.path === '/v3') return { status: 200, body: {} }
    await fake.beforeLookup()
    return fake.lookupAnswer ?? lookUp(asked)
  }, options.certificate)
  const withCa = options.certificate !== undefined && options.withCa !== false
  const config = loaded({
    auth_url: server.origin + (options.authPath ?? '/v3'),
    cafile: withCa ? certificateFile('ca.pem') : undefined,
    timeout_ms: 60_000, // unless a test is about it, a busy machine is no outage
    ...options.config,
  })
  const authenticator = createKeystoneAuthenticator(config, { now: () => nowMs })
  const fake: FakeKeystone = Object.assign(server, {
    authenticator,
    tokens: { ada, nova, ...options.tokens } as Record<string, object>,
    revoked: new Set<string>(),
    lookupAnswer: undefined,
    signInAnswer: undefined,
    beforeLookup: () => undefined,
    identify: (token: string | undefined, more = {}) =>
      authenticator.authenticate({ ...(token === undefined ? {} : { token }), headers: new Headers(), ...more }),
    pass(seconds: number) {
      nowMs += 1000 * seconds
    },
    signIns: () => server.asked.filter(isSignIn),
    lookups: () => server.asked.filter(({ path, method }) => method === 'GET' && path !== '/v3'),
    async [Symbol.asyncDispose]() {
      await authenticator[Symbol.asyncDispose]()
      await server.stop()
    },
  })
  return fake
}

function loaded(keys: object): KeystoneConfig {
  const all = {
    auth_url: 'http://127.0.0.1:5000/v3',
    username: 'oriel',
    password: 'secret',
    user_domain_name: 'Default',
    project_name: 'service',
    project_domain_id: 'default',
    ...keys,
  }
  const given = Object.entries(all).filter(([, value]) => value !== undefined)
  return loadConfig(KeystoneConfig, {
    toml: given.map(([key, value]) => `${key} = ${JSON.stringify(value)}`).join('\n'),
    refine: (config) => keystoneFaults(config).map((message) => ({ path: '', message })),
  })
}

function nothing(...keys: string[]): Record<string, undefined> {
  return Object.fromEntries(keys.map((key) => [key, undefined]))
}
