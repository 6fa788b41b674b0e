/** Hostile answers of an identity service: they authenticate no caller, and cause only the expected errors. */
import { loadConfig } from '@oriel/runtime'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Authenticator, AuthUnavailable, Unauthenticated } from '../../src/auth/authenticator.ts'
import { createJwtAuthenticator } from '../../src/auth/jwt.ts'
import { JwtConfig } from '../../src/auth/jwt-config.ts'
import { createKeystoneAuthenticator } from '../../src/auth/keystone.ts'
import { KeystoneConfig } from '../../src/auth/keystone-config.ts'
import { anyJson, anyObjectOf, hostileValues } from '../hostile-json.ts'
import { expectNothingUncaught } from '../nothing-uncaught.ts'
import { type Answer, type Asked, scriptedHttpServer } from './scripted-server.ts'

expectNothingUncaught()

/** Authenticates, and returns the caller; `undefined` if it was refused in one of the two expected ways. */
async function identify({ authenticate }: Authenticator, token: string) {
  try {
    return await authenticate({ token, headers: new Headers() })
  } catch (error) {
    expect(error instanceof Unauthenticated || error instanceof AuthUnavailable, String(error)).toBe(true)
    return undefined
  }
}

describe('Keystone', () => {
  const own = '{"token":{"issued_at":"2026-01-01T00:00:00Z","expires_at":"2099-01-01T00:00:00Z"}}'

  async function ask(signIn: string, described: string) {
    const script = ({ method }: Asked): Answer =>
      method === 'POST'
        ? { status: 201, headers: { 'X-Subject-Token': 'own' }, body: signIn }
        : { status: 200, body: described }
    await using server = await scriptedHttpServer(script)
    const keys = { auth_url: `${server.origin}/v3`, username: 'u', password: 'p', project_name: 'services' }
    const toml = Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
    await using keystone = createKeystoneAuthenticator(loadConfig(KeystoneConfig, { toml: toml.join('') }))
    return await identify(keystone, 'token-of-somebody')
  }

  test.each(hostileValues.map((json) => [json.slice(0, 40), json]))(
    'may answer %s in any place without authenticating a caller',
    async (_, json) => {
      const honest = '{"token":{"expires_at":"2099-01-01T00:00:00Z","user":{"id":"ada"},"roles":[{"name":"member"}]}}'
      for (const signIn of [json, `{"token":${json}}`, `{"token":{"issued_at":${json},"expires_at":${json}}}`]) {
        expect(await ask(signIn, honest)).toMatchObject({ userId: 'ada' })
      }
      for (const described of [
        json,
        `{"token":${json}}`,
        honest.replace('"ada"', () => json),
        honest.replace('"member"', () => json),
        honest.replace('[{"name":"member"}]', () => json),
        honest.replace('"2099-01-01T00:00:00Z"', () => json),
      ]) {
        const who = await ask(own, described)
        expect(who?.userId ?? '-').toBeTypeOf('string')
        for (const role of who?.roles ?? []) expect(role).toBeTypeOf('string')
      }
    },
  )
})

describe('an issuer of JSON Web Tokens', () => {
  test('may publish anything as its keys without authenticating a caller', async () => {
    const keys = fc.oneof(
      anyJson,
      anyObjectOf('keys', 'kty'),
      fc
        .oneof(anyJson, anyObjectOf('kty', 'kid', 'n', 'e', 'alg', 'use', 'crv', 'x', 'y'))
        .map((key) => `{"keys":[${key}]}`),
    )
    const token = [
      { alg: 'RS256', kid: 'k' },
      { sub: 'ada', exp: 4_000_000_000 },
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
    await using server = await scriptedHttpServer(() => ({ status: 200, body }))
    let body = ''
    const toml = `issuer = "http://127.0.0.1/"\naudience = "oriel"\njwks_url = "${server.origin}/keys"`
    const property = fc.asyncProperty(keys, async (published) => {
      body = published
      await using jwt = createJwtAuthenticator(loadConfig(JwtConfig, { toml }))
      expect(await identify(jwt, `${token}.${Buffer.alloc(256).toString('base64url')}`)).toBeUndefined()
      await jwt
        .check?.(new AbortController().signal)
        .catch((error: unknown) => expect(error).toBeInstanceOf(AuthUnavailable))
    })
    await fc.assert(property, { numRuns: 60 })
  })
})
