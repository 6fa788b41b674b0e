/** What every authenticator of tokens must do. Each adapter's test runs this whole suite. */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { type Authenticator, AuthUnavailable, type Identity, Unauthenticated } from '../../src/index.ts'

/** An authenticator, and tokens to ask it about. */
export interface AuthenticatorFixture extends AsyncDisposable {
  readonly authenticator: Authenticator
  readonly known: { readonly token: string; readonly identity: Identity }
  readonly withoutProject: string
  /** A well-formed token that was never issued. */
  readonly unknown: string
  /** Absent: its tokens never expire. */
  readonly expired?: string
  /** Stops the service that it asks. Absent: it asks no service. */
  away?(): Promise<void>
}

export function authenticatorSuite(name: string, open: () => Promise<AuthenticatorFixture>): void {
  const headers = new Headers()
  const refusal = ({ authenticator }: AuthenticatorFixture, token?: string) =>
    authenticator.authenticate({ headers, ...(token !== undefined && { token }) }).then(
      () => expect.fail('was let in'),
      (error: unknown) => error,
    )

  describe(`authenticator: ${name}`, () => {
    test('returns the identity of a token, each time', async () => {
      await using fixture = await open()
      const { authenticator, known } = fixture
      for (const _ of [1, 2]) {
        expect(await authenticator.authenticate({ headers, token: known.token })).toEqual(known.identity)
      }
      await authenticator.check?.()
    })

    test('returns no project for a token without one', async () => {
      await using fixture = await open()
      const identity = await fixture.authenticator.authenticate({ headers, token: fixture.withoutProject })
      expect(identity).not.toHaveProperty('projectId')
      expect(identity.userId).not.toBe('')
    })

    test('refuses an absent token, an empty one, and one with an extra character', async () => {
      await using fixture = await open()
      for (const token of [undefined, '', `${fixture.known.token}x`]) {
        expect(await refusal(fixture, token)).toBeInstanceOf(Unauthenticated)
      }
    })

    test('refuses an unknown token with an error that does not contain it', async () => {
      await using fixture = await open()
      const error = await refusal(fixture, fixture.unknown)
      expect(error).toBeInstanceOf(Unauthenticated)
      expect(inspect(error, { depth: 10 })).not.toContain(fixture.unknown)
    })

    test('refuses an expired token', async () => {
      await using fixture = await open()
      const { expired } = fixture
      if (expired === undefined) return expect(fixture.away).toBeUndefined()
      const error = await refusal(fixture, expired)
      expect(error).toBeInstanceOf(Unauthenticated)
      expect(inspect(error, { depth: 10 })).not.toContain(expired)
    })

    test('throws AuthUnavailable while its service is unavailable, without the token in the error', async () => {
      await using fixture = await open()
      if (!fixture.away) return expect(fixture.authenticator.check).toBeUndefined()
      await fixture.away()
      const error = await refusal(fixture, fixture.known.token)
      expect(error).toBeInstanceOf(AuthUnavailable)
      expect((error as AuthUnavailable).retryAfterSeconds).toBeGreaterThan(0)
      expect(inspect(error, { depth: 10 })).not.toContain(fixture.known.token)
    })

    test('has a challenge for WWW-Authenticate', async () => {
      await using fixture = await open()
      expect(fixture.authenticator.wwwAuthenticate).toMatch(/^\w+/)
    })
  })
}
