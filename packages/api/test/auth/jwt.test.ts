/** JSON Web Tokens, against an issuer whose keys and answers are scripted. Test names begin with the security row. */
import { createLogger, loadConfig } from '@oriel/runtime'
import {
  base64url,
  exportJWK,
  exportSPKI,
  type GenerateKeyPairResult,
  generateKeyPair,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { type Authenticator, AuthUnavailable, Unauthenticated } from '../../src/auth/authenticator.ts'
import { createJwtAuthenticator, type JwtDeps } from '../../src/auth/jwt.ts'
import { JwtConfig } from '../../src/auth/jwt-config.ts'
import { authenticatorSuite } from './authenticator.suite.ts'
import { certificateFile, type Script, type ScriptedHttpServer, scriptedHttpServer } from './scripted-server.ts'

const row = 'CVE-2025-62610, CVE-2026-47673 JWT'
const keys = await Promise.all(['a', 'b'].map(async (kid) => ({ kid, ...(await generateKeyPair('ES256')) })))
const [keyA, keyB] = keys as [Key, Key]

afterEach(() => vi.useRealTimers())

authenticatorSuite('jwt', async () => {
  const issuer = await fakeIssuer()
  return {
    authenticator: issuer.authenticator,
    known: {
      token: await issuer.sign(),
      identity: { userId: 'ada', projectId: 'p1', roles: ['member', 'reader'] },
    },
    withoutProject: await issuer.sign({ project_id: undefined }),
    unknown: await issuer.sign({}, { key: { ...keyB, kid: keyA.kid } }),
    expired: await issuer.sign({ exp: seconds(-60) }),
    away: () => issuer.stop(),
    [Symbol.asyncDispose]: () => issuer[Symbol.asyncDispose](),
  }
})

describe('the identity of a token', () => {
  test('is read from Authorization: Bearer', async () => {
    await using issuer = await fakeIssuer()
    const token = await issuer.sign()
    for (const authorization of [`Bearer ${token}`, `bearer  ${token}`]) {
      expect(await issuer.identify({ authorization })).toEqual({
        userId: 'ada',
        projectId: 'p1',
        roles: ['member', 'reader'],
      })
    }
  })

  test('is read from X-Auth-Token, which OpenStack’s clients send', async () => {
    await using issuer = await fakeIssuer()
    expect(await issuer.identify({ token: await issuer.sign() })).toMatchObject({ userId: 'ada' })
  })

  test('is read from configured claims: a path, a name with dots, roles with blanks between them', async () => {
    await using issuer = await fakeIssuer({
      user_claim: 'preferred_username',
      project_claim: 'https://id.example/project',
      roles_claim: 'realm_access.roles',
    })
    const claims = {
      preferred_username: 'grace',
      'https://id.example/project': 'p2',
      realm_access: { roles: 'admin Member' },
    }
    const token = await issuer.sign(claims)
    expect(await issuer.identify({ token })).toEqual({ userId: 'grace', projectId: 'p2', roles: ['admin', 'member'] })
  })

  test('has no project without a project claim', async () => {
    await using issuer = await fakeIssuer()
    const token = await issuer.sign({ project_id: undefined })
    expect(await issuer.identify({ token })).toEqual({ userId: 'ada', roles: ['member', 'reader'] })
  })

  test.for(['RS256', 'PS256', 'ES256', 'EdDSA'])('is accepted with a signature by %s', async (alg) => {
    const key = { kid: alg, ...(await generateKeyPair(alg)) }
    await using issuer = await fakeIssuer()
    issuer.published = [key]
    expect(await issuer.identify({ token: await issuer.sign({}, { key, alg }) })).toMatchObject({ userId: 'ada' })
  })
})

describe(`${row}: 401`, () => {
  test.for([
    ['wrong audience', { aud: 'another' }],
    ['no audience', { aud: undefined }],
    ['wrong issuer', { iss: 'https://evil.example' }],
    ['issuer with a slash too many', { iss: 'https://id.example/' }],
    ['no issuer', { iss: undefined }],
    ['expired', { exp: seconds(-60) }],
    ['without an end', { exp: undefined }],
    [
      'not yet valid',
      {
        // From when the test runs: from when the file was read, it may have become valid meanwhile.
        get nbf() {
          return seconds(60)
        },
      },
    ],
    ['no user', { sub: undefined }],
    ['an empty user', { sub: '' }],
    ['a user that is no text', { sub: 7 }],
    ['no roles', { roles: undefined }],
    ['roles that are no text', { roles: [{ name: 'admin' }] }],
    ['roles from the prototype', { roles: undefined }, { roles_claim: 'constructor.name' }],
    ['a project that is no text', { project_id: ['p1'] }],
  ] as [string, JWTPayload, object?][])('%s', async ([, claims, config]) => {
    await using issuer = await fakeIssuer({ issuer: 'https://id.example', ...config })
    const token = await issuer.sign({ iss: 'https://id.example', ...claims })
    await expect(issuer.identify({ token })).rejects.toThrow(Unauthenticated)
    expect(issuer.fetches()).toBe(1)
  })

  test('accepts exp and nbf within clock_skew_seconds', async () => {
    await using issuer = await fakeIssuer()
    for (const claims of [{ exp: seconds(-15) }, { nbf: seconds(15) }]) {
      expect(await issuer.identify({ token: await issuer.sign(claims) })).toMatchObject({ userId: 'ada' })
    }
  })

  test('refuses alg: none', async () => {
    await using issuer = await fakeIssuer()
    const token = new UnsecuredJWT(issuer.claims()).encode()
    for (const forged of [token, `${token}AAAA`]) {
      await expect(issuer.identify({ token: forged })).rejects.toThrow(Unauthenticated)
    }
  })

  test('refuses HS256 with the public key as the secret', async () => {
    await using issuer = await fakeIssuer()
    for (const secret of [await exportSPKI(keyA.publicKey), JSON.stringify(await exportJWK(keyA.publicKey))]) {
      const forged = new SignJWT(issuer.claims()).setProtectedHeader({ alg: 'HS256', kid: 'a' })
      const token = await forged.sign(new TextEncoder().encode(secret))
      await expect(issuer.identify({ token })).rejects.toThrow(Unauthenticated)
    }
  })

  test('refuses another key under a known kid', async () => {
    await using issuer = await fakeIssuer()
    const token = await issuer.sign({}, { key: { ...keyB, kid: 'a' } })
    await expect(issuer.identify({ token })).rejects.toThrow(Unauthenticated)
  })

  test('refuses a key that the token contains', async () => {
    await using issuer = await fakeIssuer()
    const header = { alg: 'ES256', jwk: await exportJWK(keyB.publicKey), jku: `${issuer.origin}/evil` }
    const token = await new SignJWT(issuer.claims()).setProtectedHeader(header).sign(keyB.privateKey)
    await expect(issuer.identify({ token })).rejects.toThrow(Unauthenticated)
    expect(issuer.asked.map(({ path }) => path)).not.toContain('/evil')
  })

  test('refuses an algorithm that is not configured', async () => {
    await using issuer = await fakeIssuer({ algorithms: ['RS256'] })
    await expect(issuer.identify({ token: await issuer.sign() })).rejects.toThrow(Unauthenticated)
  })

  test('refuses claims that were changed after signing', async () => {
    await using issuer = await fakeIssuer()
    const [header, , signature] = (await issuer.sign()).split('.')
    const body = base64url.encode(JSON.stringify({ ...issuer.claims(), roles: ['admin'] }))
    await expect(issuer.identify({ token: `${header}.${body}.${signature}` })).rejects.toThrow(Unauthenticated)
  })

  test('refuses other schemes: Basic <jwt>, the bare token, two tokens in one header', async () => {
    await using issuer = await fakeIssuer()
    const token = await issuer.sign()
    for (const authorization of [
      `Basic ${token}`,
      token,
      'Bearer',
      `Bearer ${token}, Bearer ${token}`,
      `X Bearer ${token}`,
    ]) {
      await expect(issuer.identify({ authorization })).rejects.toThrow(Unauthenticated)
      await expect(issuer.identify({ authorization, token })).rejects.toThrow(Unauthenticated)
    }
  })

  test('refuses two different tokens', async () => {
    await using issuer = await fakeIssuer()
    const [token, other] = [await issuer.sign(), await issuer.sign({ sub: 'grace' })]
    await expect(issuer.identify({ token, authorization: `Bearer ${other}` })).rejects.toThrow(Unauthenticated)
    expect(await issuer.identify({ token, authorization: `Bearer ${token}` })).toMatchObject({ userId: 'ada' })
  })

  test('refuses an absent token, an empty one, and one that is not a JWT', async () => {
    await using issuer = await fakeIssuer()
    for (const token of [undefined, '', 'x', 'a.b.c']) {
      await expect(issuer.identify({ token })).rejects.toThrow(Unauthenticated)
    }
  })

  test('refuses an invalid X-Service-Token beside a valid token', async () => {
    await using issuer = await fakeIssuer()
    const token = await issuer.sign()
    await expect(issuer.identify({ token, serviceToken: 'x' })).rejects.toThrow(Unauthenticated)
    expect(await issuer.identify({ token, serviceToken: token })).toMatchObject({ userId: 'ada' })
  })

  test('has Bearer in WWW-Authenticate', async () => {
    await using issuer = await fakeIssuer()
    expect(issuer.authenticator.wwwAuthenticate).toMatch(/^Bearer /)
  })
})

describe('the keys', () => {
  test('are found through the OpenID configuration', async () => {
    await using issuer = await fakeIssuer({ jwks_url: undefined })
    expect(await issuer.identify({ token: await issuer.sign() })).toMatchObject({ userId: 'ada' })
    expect(issuer.asked.map(({ path }) => path)).toEqual(['/.well-known/openid-configuration', '/keys'])
  })

  test.for([
    [
      'of another issuer',
      (origin: string) => ({ issuer: 'https://evil.example', jwks_uri: `${origin}/keys` }),
      /another issuer/,
    ],
    ['without keys', (origin: string) => ({ issuer: origin }), /has no https/],
    [
      'with keys in the clear',
      (origin: string) => ({ issuer: origin, jwks_uri: 'http://id.example/keys' }),
      /has no https/,
    ],
    ['that is no JSON', () => 'oops', /another issuer/],
  ] as const)('cause a 503 with an OpenID configuration %s', async ([, document, message]) => {
    await using issuer = await fakeIssuer({ jwks_url: undefined })
    issuer.script = ({ path }) => ({ status: 200, body: path === '/keys' ? {} : document(issuer.origin) })
    const refused = await issuer.identify({ token: await issuer.sign() }).catch((cause: unknown) => cause)
    expect(refused).toBeInstanceOf(AuthUnavailable)
    expect((refused as Error).message).toMatch(message)
    expect(issuer.asked).toHaveLength(1)
  })

  test('are fetched once for many tokens', async () => {
    await using issuer = await fakeIssuer()
    const token = await issuer.sign()
    await Promise.all(Array.from({ length: 20 }, () => issuer.identify({ token })))
    await issuer.identify({ token })
    expect(issuer.fetches()).toBe(1)
  })

  test('are fetched again for an unknown key, at most once in keys_cooldown_seconds', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    await using issuer = await fakeIssuer({ keys_cooldown_seconds: 10 })
    await issuer.identify({ token: await issuer.sign() })
    issuer.published = [keyB]
    const rotated = await issuer.sign({}, { key: keyB })
    await expect(issuer.identify({ token: rotated })).rejects.toThrow(Unauthenticated)
    expect(issuer.fetches()).toBe(1)
    vi.setSystemTime(Date.now() + 11_000)
    expect(await issuer.identify({ token: rotated })).toMatchObject({ userId: 'ada' })
    expect(issuer.fetches()).toBe(2)
    await expect(issuer.identify({ token: await issuer.sign({}, { key: keyA }) })).rejects.toThrow(Unauthenticated)
    expect(issuer.fetches()).toBe(2)
  })

  test('are cached for at most keys_cache_seconds, so that a withdrawn key expires', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    await using issuer = await fakeIssuer({ keys_cache_seconds: 60 })
    const token = await issuer.sign()
    await issuer.identify({ token })
    issuer.published = [keyB]
    vi.setSystemTime(Date.now() + 61_000)
    await expect(issuer.identify({ token })).rejects.toThrow(Unauthenticated)
  })

  test('cause a 503 with Retry-After while they are unavailable', async () => {
    await using issuer = await fakeIssuer()
    const token = await issuer.sign()
    const script = issuer.script
    issuer.script = () => ({ status: 502 })
    await expect(issuer.authenticator.check?.()).rejects.toThrow(AuthUnavailable)
    await expect(issuer.identify({ token })).rejects.toMatchObject({ name: 'AuthUnavailable', retryAfterSeconds: 5 })
    issuer.script = script
    expect(await issuer.identify({ token })).toMatchObject({ userId: 'ada' })
    await issuer.stop()
    expect(await issuer.identify({ token })).toMatchObject({ userId: 'ada' })
    await expect(issuer.authenticator.check?.()).resolves.toBeUndefined()
  })

  test.for([
    ['a closed port', undefined],
    ['an error with keys in it', () => ({ status: 500, body: { keys: [] } })],
    ['no JSON', () => ({ status: 200, body: '<html>' })],
    ['no key set', () => ({ status: 200, body: { keys: 'none' } })],
    ['a redirect', () => ({ status: 302, headers: { Location: 'http://127.0.0.1:1/' } })],
    ['no answer', () => new Promise<undefined>(() => undefined)],
  ] as [string, Script | undefined][])('%s: 503', async ([, script]) => {
    await using issuer = await fakeIssuer({ timeout_ms: 300 })
    if (script) issuer.script = script
    else await issuer.stop()
    await expect(issuer.identify({ token: await issuer.sign() })).rejects.toThrow(AuthUnavailable)
  })
})

describe('TLS verification', () => {
  test('accepts a certificate of the CA in cafile', async () => {
    await using issuer = await fakeIssuer({ cafile: certificateFile('ca.pem') }, 'server.pem')
    expect(await issuer.identify({ token: await issuer.sign() })).toMatchObject({ userId: 'ada' })
  })

  test.for(['impostor.pem', 'other-host.pem'])('refuses the keys of a man in the middle with %s', async (pem) => {
    await using issuer = await fakeIssuer({ cafile: certificateFile('ca.pem') }, pem)
    await expect(issuer.identify({ token: await issuer.sign() })).rejects.toThrow(AuthUnavailable)
    expect(issuer.asked).toEqual([])
  })
})

describe('configuration', () => {
  const given = { issuer: 'https://id.example', audience: 'oriel' }

  test('accepts the example of the documentation', () => {
    expect(loaded(given)).toEqual({
      ...given,
      algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      clock_skew_seconds: 30,
      user_claim: 'sub',
      project_claim: 'project_id',
      roles_claim: 'roles',
      keys_cooldown_seconds: 30,
      keys_cache_seconds: 600,
      timeout_ms: 5000,
    })
  })

  test.for([
    ['no audience', { audience: undefined }, /audience: missing/],
    ['no issuer', { issuer: undefined }, /issuer: missing/],
    ['keys in the clear', { jwks_url: 'http://id.example/keys' }, /an https URL/],
    ['keys of a host that looks like loopback', { jwks_url: 'http://127.0.0.1.evil.example/keys' }, /an https URL/],
    ['keys of a host behind a loopback name', { jwks_url: 'http://localhost:1@evil.example/keys' }, /an https URL/],
    ['an issuer in the clear without keys', { issuer: 'http://id.example' }, /give jwks_url/],
    ['a shared secret', { algorithms: ['HS256'] }, /is not known/],
    ['no signature', { algorithms: ['none'] }, /is not known/],
    ['no algorithm', { algorithms: [] }, /too few/],
    ['a verification switch', { insecure: true }, /unknown key/],
  ] as const)('%s is a fault', ([, keys, message]) => {
    expect(() => loaded({ ...given, ...keys })).toThrow(message)
  })
})

describe('the log', () => {
  async function logged(config: object = {}) {
    const lines: Record<string, unknown>[] = []
    const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
    const log = createLogger({ name: 'test', level: 'info', destination })
    let time = Date.now()
    const issuer = await fakeIssuer({ issuer: 'https://id.example', ...config }, undefined, { log, now: () => time })
    const refuse = async (claims: JWTPayload, options?: { key?: Key; alg?: string }) => {
      const token = await issuer.sign({ iss: 'https://id.example', ...claims }, options)
      await expect(issuer.identify({ token })).rejects.toThrow(Unauthenticated)
      return token
    }
    return {
      lines,
      refuse,
      pass: (ms: number) => {
        time += ms
      },
      [Symbol.asyncDispose]: () => issuer[Symbol.asyncDispose](),
    }
  }

  test.for([
    [
      'aud',
      { aud: ['a', 'b'] },
      { cause: 'its claim aud does not name auth.jwt.audience', expected: 'oriel', received: ['a', 'b'] },
    ],
    ['aud, absent', { aud: undefined }, { expected: 'oriel', received: 'none' }],
    ['iss', { iss: 'https://id.example/' }, { expected: 'https://id.example', received: 'https://id.example/' }],
    ['roles', { roles: undefined }, { cause: 'The claim roles is missing or is not a list' }],
    ['sub', { sub: undefined }, { cause: 'The token lacks the claim sub' }],
    ['exp', { exp: undefined }, { cause: 'it lacks the claim exp' }],
  ] as [string, JWTPayload, object][])('has one line a minute about %s', async ([, claims, line]) => {
    await using it = await logged()
    const tokens = [await it.refuse(claims), await it.refuse(claims), await it.refuse(claims)]
    expect(it.lines).toMatchObject([{ level: 'info', ...line }])
    it.pass(60_000)
    await it.refuse(claims)
    expect(it.lines[1]).toMatchObject({ ...line, omitted: 2 })
    for (const token of tokens) expect(JSON.stringify(it.lines)).not.toContain(token)
  })

  test('limits each cause separately, with bounded values and without control characters', async () => {
    await using it = await logged()
    await it.refuse({ aud: 'x\n'.repeat(1000) })
    await it.refuse({ iss: '\u001b[31mred' })
    expect(it.lines).toHaveLength(2)
    expect(it.lines[0]!.received).toBe('x?'.repeat(60))
    expect(it.lines[1]!.received).toBe('?[31mred')
  })

  test('has no line for expired or forged tokens', async () => {
    await using it = await logged()
    await it.refuse({ exp: seconds(-60) })
    await it.refuse({}, { key: { ...keyB, kid: keyA.kid } })
    expect(it.lines).toEqual([])
  })
})

// Scripts

type Key = GenerateKeyPairResult & { kid: string }

interface FakeIssuer extends ScriptedHttpServer {
  readonly authenticator: Authenticator
  published: readonly Key[]
  claims(): JWTPayload
  sign(claims?: JWTPayload, options?: { key?: Key; alg?: string }): Promise<string>
  identify(sent: { token?: string | undefined; authorization?: string; serviceToken?: string }): Promise<unknown>
  /** How often the keys were fetched. */
  fetches(): number
}

/** @param config over issuer and jwks_url of the scripted server; undefined takes a key away. */
async function fakeIssuer(config: object = {}, certificate?: string, deps: JwtDeps = {}): Promise<FakeIssuer> {
  const server = await scriptedHttpServer(async ({ path }) => {
    if (path === '/keys') return { status: 200, body: { keys: await Promise.all(issuer.published.map(published)) } }
    return { status: 200, body: { issuer: server.origin, jwks_uri: `${server.origin}/keys` } }
  }, certificate)
  const { origin } = server
  const authenticator = createJwtAuthenticator(
    loaded({ issuer: origin, audience: 'oriel', jwks_url: `${origin}/keys`, timeout_ms: 60_000, ...config }),
    deps,
  )
  const claims = () => ({
    iss: origin,
    aud: ['other', 'oriel'],
    sub: 'ada',
    exp: seconds(3600),
    project_id: 'p1',
    roles: ['Member', 'reader'],
  })
  const issuer: FakeIssuer = Object.assign(server, {
    authenticator,
    published: [keyA],
    claims,
    sign: (more: JWTPayload = {}, { key = keyA, alg = 'ES256' } = {}) =>
      new SignJWT({ ...claims(), ...more }).setProtectedHeader({ alg, kid: key.kid }).sign(key.privateKey),
    identify: ({ token, authorization, serviceToken }: Parameters<FakeIssuer['identify']>[0]) =>
      authenticator.authenticate({
        headers: new Headers(authorization === undefined ? {} : { Authorization: authorization }),
        ...(token === undefined ? {} : { token }),
        ...(serviceToken === undefined ? {} : { serviceToken }),
      }),
    fetches: () => server.asked.filter(({ path }) => path === '/keys').length,
    async [Symbol.asyncDispose]() {
      await authenticator[Symbol.asyncDispose]()
      await server.stop()
    },
  })
  return issuer
}

async function published({ kid, publicKey }: Key): Promise<object> {
  return { ...(await exportJWK(publicKey)), kid }
}

function seconds(fromNow: number): number {
  return Math.floor(Date.now() / 1000) + fromNow
}

function loaded(keys: object): JwtConfig {
  const given = Object.entries(keys).filter(([, value]) => value !== undefined)
  return loadConfig(JwtConfig, { toml: given.map(([key, value]) => `${key} = ${JSON.stringify(value)}`).join('\n') })
}
