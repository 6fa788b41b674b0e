/** The consequences of a change of a source: the tokens of stale addresses are revoked, also those being created. */
import { createLogger, silentLogger } from '@oriel/runtime'
import { describe, expect, test } from 'vitest'
import { startRevoker } from '../../src/console-auth-tokens/revoker.ts'
import { combineSources, type ServerChange, type Source } from '../../src/index.ts'
import { address, fakeSource, SERVER_ID, server, testApi } from '../support.ts'

/** A source that emits the changes of a test. */
function emitting(changes: Partial<Source> = {}) {
  const listeners = new Set<(change: ServerChange) => void>()
  const source = fakeSource([server()], {
    ...changes,
    subscribe(listener) {
      listeners.add(listener)
      return { [Symbol.dispose]: () => listeners.delete(listener) }
    },
  })
  return {
    source,
    listeners,
    emit: (kind: ServerChange['kind'], serverId = SERVER_ID) => {
      for (const listener of listeners) listener({ serverId, kind })
    },
  }
}

/** A store that records the revoked servers, and fails for the first `failures` calls. */
function noting(failures = 0) {
  const revoked: string[] = []
  const tokens = {
    async revokeServer(serverId: string) {
      if (failures-- > 0) throw new Error('the store is away')
      revoked.push(serverId)
      return 1
    },
  }
  return { tokens, revoked }
}

describe('the revoker', () => {
  test('revokes tokens at every change of any source', async () => {
    const [one, two] = [emitting(), emitting()]
    const { tokens, revoked } = noting()
    await using source = combineSources([one.source, fakeSource(), two.source])
    await using _ = startRevoker(source, tokens, { log: silentLogger() })
    one.emit('stopped', 'a')
    two.emit('gone', 'b')
    one.emit('moved', 'a')
    await expect.poll(() => revoked.toSorted()).toEqual(['a', 'a', 'b'])
  })

  test('retries a failed revocation until it succeeds', async () => {
    const { source, emit } = emitting()
    const { tokens, revoked } = noting(2)
    await using _ = startRevoker(source, tokens, { log: silentLogger() })
    emit('gone')
    await expect.poll(() => revoked).toEqual([SERVER_ID])
  })

  test('logs an outage of the store as an error once, not with each retry', async () => {
    const { source, emit } = emitting()
    const { tokens, revoked } = noting(3)
    const lines: string[] = []
    const log = createLogger({ name: 'test', destination: { write: (line) => void lines.push(line) } })
    await using _ = startRevoker(source, tokens, { log })
    emit('gone')
    await expect.poll(() => revoked, { timeout: 20_000 }).toEqual([SERVER_ID])
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual([
      'console tokens could not be revoked, they will be',
      'console tokens revoked',
    ])
  })

  test('stops listening when it is disposed of', async () => {
    const { source, listeners } = emitting()
    const revoker = startRevoker(source, noting().tokens, { log: silentLogger() })
    expect(listeners.size).toBe(1)
    await revoker[Symbol.asyncDispose]()
    expect(listeners.size).toBe(0)
  })
})

describe('a requested console', () => {
  const BODY = { remote_console: { protocol: 'vnc', type: 'novnc' } }
  const create = (api: Awaited<ReturnType<typeof testApi>>) =>
    api.call('POST', `/v2.1/servers/${SERVER_ID}/remote-consoles`, { as: 'member', version: '2.6', body: BODY })

  /** An API whose store does `during` while it makes a token, and the tokens it made. */
  async function apiWhere(source: Source, during: () => void) {
    const api = await testApi({ source })
    const made: string[] = []
    const { authorize } = api.deps.tokens
    Object.assign(api.deps.tokens, {
      async authorize(grant: Parameters<typeof authorize>[0]) {
        during()
        const one = await authorize.call(api.deps.tokens, grant)
        made.push(one.token)
        return one
      },
    })
    return Object.assign(api, { made })
  }

  test('is refused if its server moves meanwhile, and leaves no token', async () => {
    const { source, emit, listeners } = emitting()
    await using api = await apiWhere(source, () => emit('moved'))
    expect((await create(api)).status).toBe(409)
    expect(api.made).toHaveLength(1)
    expect(await api.deps.tokens.find(api.made[0]!)).toBeUndefined()
    expect(listeners.size).toBe(0)
  })

  test('is opened if another server moves, or if the request itself makes the source notice the move', async () => {
    const { source, emit } = emitting({
      async console() {
        emit('moved')
        return address
      },
    })
    await using api = await apiWhere(source, () => emit('gone', 'another'))
    expect((await create(api)).status).toBe(200)
    expect(await api.deps.tokens.find(api.made[0]!)).toMatchObject({ serverId: SERVER_ID })
  })
})
