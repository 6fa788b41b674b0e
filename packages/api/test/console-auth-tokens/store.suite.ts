/** What every token store must do. Each adapter's test runs this whole suite. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ConsoleAuthTokenStore, ConsoleGrant, TokenOptions } from '../../src/index.ts'

/** Opens an empty store with its own clock. */
export type OpenStore = (now: () => number) => Promise<ConsoleAuthTokenStore>

export const grant = (changes: Partial<ConsoleGrant> = {}): ConsoleGrant => ({
  serverId: 'server-1',
  projectId: 'project-1',
  userId: 'alice',
  protocol: 'spice',
  type: 'spice-direct',
  host: '10.0.0.5',
  port: 5901,
  tlsPort: 5902,
  internalAccessPath: null,
  accessUrlBase: 'http://127.0.0.1:13002/nova',
  ttlSeconds: 600,
  ...changes,
})

const noOptions: TokenOptions = { role: 'control', label: null, singleUse: false, invitationId: null, mayInvite: false }

const BORN = Date.UTC(2026, 10, 22)

export function consoleAuthTokenStoreSuite(name: string, open: OpenStore): void {
  describe(`token store: ${name}`, () => {
    test('find returns the whole grant of a token', async () => {
      await using store = await open(() => BORN)
      const { token, id, expiresAt } = await store.authorize(grant())
      expect(expiresAt).toBe(BORN + 600_000)
      const { ttlSeconds: _, ...kept } = grant()
      expect(await store.find(token)).toEqual({ ...kept, ...noOptions, id, createdAt: BORN, expiresAt })
    })

    test.each<Partial<TokenOptions>>([
      { role: 'watch' },
      { label: 'Zoë 👩🏽‍💻' },
      { singleUse: true },
      { invitationId: 'invitation-1' },
      { mayInvite: true },
      { role: 'watch', label: 'Bob', singleUse: true, invitationId: 'invitation-1', mayInvite: true },
    ])('find returns the options of a token: %j', async (options) => {
      await using store = await open(() => BORN)
      const { token, id, expiresAt } = await store.authorize(grant(options))
      const { ttlSeconds: _, ...kept } = grant()
      expect(await store.find(token)).toEqual({ ...kept, ...noOptions, ...options, id, createdAt: BORN, expiresAt })
    })

    test('find returns null for members that a grant lacks', async () => {
      await using store = await open(() => BORN)
      const { tlsPort: _, internalAccessPath: __, ...rest } = grant({ port: null })
      const { token } = await store.authorize(rest)
      expect(await store.find(token)).toMatchObject({ port: null, tlsPort: null, internalAccessPath: null })
    })

    test('authorize creates random UUIDs and keeps earlier tokens valid', async () => {
      await using store = await open(() => BORN)
      const tokens = [await store.authorize(grant()), await store.authorize(grant())].map(({ token }) => token)
      for (const token of tokens)
        expect(token).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      expect(tokens[0]).not.toBe(tokens[1])
      for (const token of tokens) expect(await store.find(token)).toBeDefined()
    })

    test('find compares tokens exactly', async () => {
      await using store = await open(() => BORN)
      const { token } = await store.authorize(grant())
      for (const other of [
        '',
        token.toUpperCase(),
        ` ${token}`,
        `${token}\n`,
        token.replaceAll('-', ''),
        `${token}%`,
      ]) {
        expect(await store.find(other)).toBeUndefined()
      }
    })

    test('find returns a token until its expiry', async () => {
      let now = BORN
      await using store = await open(() => now)
      const { token, expiresAt } = await store.authorize(grant({ ttlSeconds: 1 }))
      now = expiresAt - 1
      expect(await store.find(token)).toBeDefined()
      now = expiresAt
      expect(await store.find(token)).toBeUndefined()
    })

    test('find does not return a token with a lifetime of 0', async () => {
      await using store = await open(() => BORN)
      expect(await store.find((await store.authorize(grant({ ttlSeconds: 0 }))).token)).toBeUndefined()
    })

    test('revoke deletes only the given token', async () => {
      await using store = await open(() => BORN)
      const gone = await store.authorize(grant())
      const stays = await store.authorize(grant())
      expect(await store.revoke(gone.id)).toBe(true)
      expect(await store.revoke(gone.id)).toBe(false)
      expect(await store.find(gone.token)).toBeUndefined()
      expect(await store.find(stays.token)).toBeDefined()
    })

    test('revoke and revokeServer delete tokens with options', async () => {
      await using store = await open(() => BORN)
      const tokens = [await store.authorize(grant({ role: 'watch' })), await store.authorize(grant({ role: 'watch' }))]
      expect(await store.revoke(tokens[0]!.id)).toBe(true)
      expect(await store.revokeServer('server-1')).toBe(1)
      for (const { token } of tokens) expect(await store.find(token)).toBeUndefined()
    })

    test('find returns no token for an id', async () => {
      await using store = await open(() => BORN)
      for (const options of [{}, { role: 'watch' as const }]) {
        const { id } = await store.authorize(grant(options))
        expect(await store.find(id)).toBeUndefined()
      }
    })

    test('use succeeds for one of many concurrent users', async () => {
      await using store = await open(() => BORN)
      const { id } = await store.authorize(grant({ singleUse: true }))
      const uses = await Promise.all(Array.from({ length: 20 }, (_, i) => store.use(id, `client ${i}`, 60_000)))
      expect(uses.filter((isFirst) => isFirst)).toHaveLength(1)
      expect(await store.use(id, 'late', 60_000)).toBe(false)
      expect(await store.use('unknown', 'late', 60_000)).toBe(false)
    })

    test('use succeeds again only for the first user, until channelsMs after its first use', async () => {
      let now = BORN
      await using store = await open(() => now)
      const { id } = await store.authorize(grant({ singleUse: true }))
      expect(await store.use(id, 'first', 60_000)).toBe(true)
      now += 59_999
      expect([await store.use(id, 'first', 60_000), await store.use(id, 'first', 0)]).toEqual([true, false])
      expect(await store.use(id, 'other', 60_000)).toBe(false)
      now += 1
      expect(await store.use(id, 'first', 60_000)).toBe(false)
    })

    test('release makes a token unused once each of its uses is released', async () => {
      await using store = await open(() => BORN)
      const { id } = await store.authorize(grant({ singleUse: true }))
      for (let i = 0; i < 2; i++) await store.use(id, 'first', 60_000)
      await store.release(id)
      expect(await store.use(id, 'other', 0)).toBe(false)
      for (let i = 0; i < 3; i++) await store.release(id)
      expect([await store.use(id, 'other', 0), await store.use(id, 'first', 0)]).toEqual([true, false])
    })

    test('find ignores a token from the future, which was created before the clock was set back and would live too long', async () => {
      let now = BORN
      await using store = await open(() => now)
      const { token } = await store.authorize(grant({ ttlSeconds: 600 }))
      now = BORN - 60_001
      expect(await store.find(token)).toBeUndefined()
      now = BORN - 60_000
      expect(await store.find(token)).toBeDefined()
    })

    test('revokeServer compares ids exactly', async () => {
      await using store = await open(() => BORN)
      const { token } = await store.authorize(grant({ serverId: 'Ärger-1' }))
      for (const other of ['ärger-1', 'Arger-1', 'Ärger-1 ', 'Ärger-%', 'Ärger']) {
        expect(await store.revokeServer(other)).toBe(0)
      }
      expect(await store.find(token)).toBeDefined()
      expect(await store.revokeServer('Ärger-1')).toBe(1)
    })

    test('revokeServer deletes all tokens of that server and no others', async () => {
      await using store = await open(() => BORN)
      const gone = [await store.authorize(grant()), await store.authorize(grant({ type: 'novnc', protocol: 'vnc' }))]
      const stays = await store.authorize(grant({ serverId: 'server-2' }))
      expect(await store.revokeServer('server-1')).toBe(2)
      expect(await store.revokeServer('server-1')).toBe(0)
      for (const { token } of gone) expect(await store.find(token)).toBeUndefined()
      expect(await store.find(stays.token)).toBeDefined()
    })

    test('sweep deletes expired tokens and no others', async () => {
      let now = BORN
      await using store = await open(() => now)
      await store.authorize(grant({ ttlSeconds: 1 }))
      const stays = await store.authorize(grant({ ttlSeconds: 2 }))
      expect(await store.sweep()).toBe(0)
      now = BORN + 1_000
      expect(await store.sweep()).toBe(1)
      expect(await store.find(stays.token)).toBeDefined()
    })

    test('find returns texts unchanged, with any characters', async () => {
      await using store = await open(() => BORN)
      const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((value) => !value.includes('\0'))
      const texts = fc.record({
        serverId: text,
        projectId: text,
        userId: text,
        host: text,
        internalAccessPath: text,
        accessUrlBase: text,
      })
      await fc.assert(
        fc.asyncProperty(texts, async (changes) => {
          const { token } = await store.authorize(grant(changes))
          expect(await store.find(token)).toMatchObject(changes)
        }),
        { numRuns: 40 },
      )
    })

    test('concurrent calls do not interfere', async () => {
      await using store = await open(() => BORN)
      const made = await Promise.all(
        Array.from({ length: 50 }, (_, i) => store.authorize(grant({ userId: `user-${i}` }))),
      )
      const found = await Promise.all(made.map(({ token }) => store.find(token)))
      expect(found.map((token) => token?.userId)).toEqual(made.map((_, i) => `user-${i}`))
    })

    test('check passes for an open store', async () => {
      await using store = await open(() => BORN)
      await expect(store.check()).resolves.toBeUndefined()
    })
  })
}
