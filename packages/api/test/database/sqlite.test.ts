import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  chmod,
  copyFile,
  mkdir,
  mkdtempDisposable,
  readFile,
  rename,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ConfigError, createLogger, sha256Hex, silentLogger } from '@oriel/runtime'
import { Kysely } from 'kysely'
import { afterAll, describe, expect, test } from 'vitest'
import { reachStore } from '../../src/database/open.ts'
import { sqliteTarget } from '../../src/database/sqlite.ts'
import type { Database } from '../../src/database/tables.ts'
import { openStores, openTokenStore, type Stores, StoreUnavailable, type TokenOptions } from '../../src/index.ts'
import { consoleAuthTokenStoreSuite, grant } from '../console-auth-tokens/store.suite.ts'
import { capture } from '../sessions/proxies.ts'
import { newSession } from '../sessions/store.suite.ts'

const folder = await mkdtempDisposable(join(tmpdir(), 'oriel-store-'))
afterAll(() => folder[Symbol.asyncDispose]())
const freshFile = () => join(folder.path, `${randomUUID()}.db`)

consoleAuthTokenStoreSuite('SQLite in memory', (now) => openTokenStore('sqlite::memory:', { now }))
consoleAuthTokenStoreSuite('SQLite in a file', (now) => openTokenStore(`sqlite:${freshFile()}`, { now }))

describe('SQLite in a file', () => {
  test('keeps tokens after its process ends', async () => {
    const file = freshFile()
    const { token } = await within(file, (store) => store.authorize(grant()))
    expect(await within(file, (store) => store.find(token))).toMatchObject({ userId: 'alice' })
  })

  test('shares tokens between two open stores', async () => {
    const file = freshFile()
    await using one = await openTokenStore(`sqlite:${file}`)
    await using other = await openTokenStore(`sqlite:${file}`)
    const { token } = await one.authorize(grant())
    expect(await other.find(token)).toBeDefined()
    expect(await other.revokeServer('server-1')).toBe(1)
    expect(await one.find(token)).toBeUndefined()
  })

  test('is created once if several programs start on it at the same time', { timeout: 300_000 }, async () => {
    const file = freshFile()
    const program = `
      const { openTokenStore } = await import(${JSON.stringify(import.meta.resolve('../../src/index.ts'))})
      await using store = await openTokenStore(${JSON.stringify(`sqlite:${file}`)})
      await store.check()`
    const options = ['--conditions=@oriel/source', '--input-type=module', '--eval', program]
    const run = () => promisify(execFile)(process.execPath, options)
    expect(await Promise.all([run(), run(), run(), run()])).toHaveLength(4)
  })

  test('is created with mode 0600, like the other files of SQLite', async () => {
    const file = freshFile()
    await using store = await openTokenStore(`sqlite:${file}`)
    await store.authorize(grant())
    for (const suffix of ['', '-wal', '-shm']) expect(await modeOf(`${file}${suffix}`)).toBe('600')
  })

  test.each([
    ['644', '600'],
    ['666', '660'],
    ['664', '660'],
    ['640', '600'],
  ])('of an earlier version with mode %s has mode %s afterwards', async (before, after) => {
    const file = freshFile()
    await within(file, (store) => store.authorize(grant()))
    await writeFile(`${file}-wal`, '')
    for (const each of [file, `${file}-wal`]) await chmod(each, Number.parseInt(before, 8))
    await using _store = await openTokenStore(`sqlite:${file}`)
    expect([await modeOf(file), await modeOf(`${file}-wal`)]).toEqual([after, after])
  })

  test('causes a warning only in a folder that others may write to', async () => {
    const open = join(folder.path, 'open')
    await mkdir(open)
    await chmod(open, 0o777)
    const warnings = async (file: string) => {
      const lines: string[] = []
      const write = (line: string) => void lines.push(line)
      const log = createLogger({ name: 'test', level: 'warn', destination: { write } })
      await using _store = await openTokenStore(`sqlite:${file}`, { log })
      return lines.map((line) => JSON.parse(line))
    }
    expect(await warnings(join(open, 'oriel.db'))).toMatchObject([
      { folder: open, msg: expect.stringMatching('chmod o-w') },
    ])
    expect(await warnings(freshFile())).toEqual([])
  })

  test('does not stop the event loop while another process keeps it locked', async () => {
    const file = freshFile()
    await using store = await openTokenStore(`sqlite:${file}`)
    using other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    let hasAnswer = false
    const authorized = store.authorize(grant()).finally(() => {
      hasAnswer = true
    })
    // Were the database on this thread, it would wait for the lock before the first turn, and give up before the last.
    for (let turns = 0; turns < 20; turns += 1) await setImmediate()
    expect(hasAnswer).toBe(false)
    other.exec('COMMIT')
    expect((await authorized).token).toBeDefined()
  })

  test('is used by an older version after a newer one has added to it, with a warning', async () => {
    const file = freshFile()
    const { token } = await within(file, (store) => store.authorize(grant()))
    {
      using raw = new DatabaseSync(file)
      raw.exec('ALTER TABLE console_auth_tokens ADD COLUMN of_a_newer_version INTEGER NOT NULL DEFAULT 0')
      raw.exec(`INSERT INTO kysely_migration VALUES ('999-of-a-newer-version', '2030-01-01T00:00:00Z')`)
    }
    const { log, lines } = capture()
    await using store = await openTokenStore(`sqlite:${file}`, { log })
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 'warn',
        newer: ['999-of-a-newer-version'],
        msg: 'a newer oriel-api has migrated the database',
      }),
    )
    expect(await store.find(token)).toMatchObject({ userId: 'alice' })
    const { token: fresh } = await store.authorize(grant())
    expect(await store.find(fresh)).toMatchObject({ userId: 'alice' })
    await reachStore(`sqlite:${file}`)
  })

  test.each([
    ['in a way that older versions do not support', `INSERT INTO kysely_migration VALUES ('999-new-breaking', '2030')`],
    [
      'without a migration of this version',
      `UPDATE kysely_migration SET name = '999-new' WHERE name = '012-console-control'`,
    ],
  ])('is refused with a remedy after a newer version has migrated it %s', async (_, statement) => {
    const file = freshFile()
    await within(file, (store) => store.check())
    using raw = new DatabaseSync(file)
    raw.exec(statement)
    const remedy = 'a newer oriel-api wrote this database; start that version, or use an empty database'
    for (const open of [openTokenStore, reachStore]) {
      const error = await Promise.resolve(open(`sqlite:${file}`)).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(ConfigError)
      expect((error as ConfigError).faults).toEqual([
        { path: 'tokens.store', message: `cannot use ${file}: ${remedy}` },
      ])
    }
  })

  test('contains digests of tokens and no token', async () => {
    const file = freshFile()
    await using store = await openTokenStore(`sqlite:${file}`)
    const { token } = await store.authorize(grant())
    const bytes = Buffer.concat([await readFile(file), await readFile(`${file}-wal`)])
    expect(bytes.includes(token)).toBe(false)
    expect(bytes.includes(token.replaceAll('-', ''))).toBe(false)
    expect(bytes.includes(sha256Hex(token))).toBe(true)
  })

  describe('with tokens that have options', () => {
    // The queries of a version that does not know options.
    const OLD_FIND = 'select * from console_auth_tokens where token_sha256 = ?'
    const OLD_REVOKE = 'delete from console_auth_tokens where server_id = ?'

    test.each<Partial<TokenOptions>>([{ role: 'watch' }, { singleUse: true }, { label: 'Bob' }, { invitationId: 'i' }])(
      'hides a token with %j from an older version, which still revokes it',
      async (options) => {
        const file = freshFile()
        await using store = await openTokenStore(`sqlite:${file}`)
        using old = new DatabaseSync(file)
        const { token, id } = await store.authorize(grant(options))
        for (const sent of [token, id, `options:${token}`]) {
          expect(old.prepare(OLD_FIND).get(sha256Hex(sent))).toBeUndefined()
        }
        expect(await store.find(token)).toMatchObject(options)
        old.prepare(OLD_REVOKE).run('server-1')
        expect(await store.find(token)).toBeUndefined()
      },
    )

    test('lets an older version find a token whose session may invite', async () => {
      const file = freshFile()
      await using store = await openTokenStore(`sqlite:${file}`)
      using old = new DatabaseSync(file)
      const { token } = await store.authorize(grant({ mayInvite: true }))
      expect(old.prepare(OLD_FIND).get(sha256Hex(token))).toBeDefined()
      expect(await store.find(token)).toMatchObject({ mayInvite: true })
    })

    test('finds no token whose options are missing', async () => {
      const file = freshFile()
      await using store = await openTokenStore(`sqlite:${file}`)
      const { token } = await store.authorize(grant({ role: 'watch' }))
      using raw = new DatabaseSync(file)
      raw.exec('delete from console_auth_token_options')
      expect(await store.find(token)).toBeUndefined()
    })

    test('keeps no options of expired tokens', async () => {
      const file = freshFile()
      await using store = await openTokenStore(`sqlite:${file}`)
      await store.authorize(grant({ role: 'watch', ttlSeconds: 0 }))
      await store.authorize(grant({ role: 'watch' }))
      await store.sweep()
      using raw = new DatabaseSync(file)
      expect(raw.prepare('select count(*) as n from console_auth_token_options').get()).toEqual({ n: 1 })
    })
  })

  test('of a version without options keeps its tokens and sessions', async () => {
    const file = freshFile()
    const { token, session } = await withinStores(file, async ({ tokens, sessions }) => ({
      ...(await tokens.authorize(grant())),
      session: await sessions.add(newSession()),
    }))
    using raw = new DatabaseSync(file)
    raw.exec(`drop table console_auth_token_options; drop table session_options; drop table invitations;
      alter table console_auth_tokens drop column may_invite; alter table sessions drop column may_invite;
      delete from kysely_migration where name >= '006'`)
    await withinStores(file, async ({ tokens, sessions }) => {
      expect(await tokens.find(token)).toMatchObject({ userId: 'alice', role: 'control', singleUse: false })
      expect(await sessions.list({ limit: 2 })).toEqual([session])
      expect(await tokens.find((await tokens.authorize(grant({ role: 'watch' }))).token)).toMatchObject({
        role: 'watch',
      })
    })
  })

  test('is in write-ahead mode, so that readers do not wait for writers', async () => {
    const file = freshFile()
    await using _store = await openTokenStore(`sqlite:${file}`)
    const raw = new DatabaseSync(file)
    expect(raw.prepare('PRAGMA journal_mode').get()).toMatchObject({ journal_mode: 'wal' })
    raw.close()
  })

  test('fails readiness while it is read-only', async () => {
    const file = freshFile()
    await using store = await openTokenStore(`sqlite:${file}`)
    using raw = new DatabaseSync(file)
    raw.exec(`CREATE TRIGGER refuse BEFORE INSERT ON write_probes BEGIN SELECT raise(abort, 'no writes'); END`)
    expect(await store.find('x')).toBeUndefined()
    await expect(store.check()).rejects.toThrow(StoreUnavailable)
  })

  test.each(['', '-wal', '-shm'])(
    'makes the store unavailable while the file with the suffix "%s" is deleted',
    async (suffix) => {
      const file = freshFile()
      await using store = await openTokenStore(`sqlite:${file}`)
      const { token } = await store.authorize(grant())
      await rename(`${file}${suffix}`, `${file}.away`)
      const calls = [
        () => store.authorize(grant()),
        () => store.find(token),
        () => store.revoke(token),
        () => store.revokeServer('server-1'),
        () => store.sweep(),
        () => store.check(),
      ]
      for (const call of calls) await expect(call()).rejects.toThrow('file of tokens.store was deleted or replaced')
      await rename(`${file}.away`, `${file}${suffix}`)
      await store.authorize(grant())
      expect(await store.find(token)).toBeDefined()
    },
  )

  test('makes the store unavailable when it is replaced, also through a link', async () => {
    const file = freshFile()
    const link = freshFile()
    await within(file, (store) => store.check())
    await symlink(file, link)
    for (const path of [file, link]) {
      await using store = await openTokenStore(`sqlite:${path}`)
      await store.check()
      await copyFile(path, `${path}.copy`)
      await rename(`${path}.copy`, path)
      const error = await store.authorize(grant()).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(StoreUnavailable)
      expect((error as Error).cause).toMatchObject({ message: expect.stringContaining(`${path} was replaced`) })
    }
  })

  test('rolls back a transaction when it is deleted, so that it can be put back', async () => {
    const file = freshFile()
    await within(file, (store) => store.check())
    const db = new Kysely<Database>({
      dialect: sqliteTarget(`sqlite:${file}`).dialect({ log: silentLogger() } as never),
    })
    const write = (to: Kysely<Database>) => to.insertInto('write_probes').values({ id: 'x', written_at: 1 }).execute()
    const interrupted = db.transaction().execute(async (transaction) => {
      await write(transaction)
      await rename(file, `${file}.away`)
      await write(transaction)
    })
    await expect(interrupted).rejects.toThrow('was deleted while the database was open')
    await rename(`${file}.away`, file)
    await db.transaction().execute(write)
    await db.destroy()
  })

  test('makes the store unavailable if a table is missing, with the cause', async () => {
    const file = freshFile()
    await using store = await openTokenStore(`sqlite:${file}`)
    const raw = new DatabaseSync(file)
    raw.exec('DROP TABLE console_auth_tokens')
    raw.close()
    for (const call of [store.check(), store.find('x'), store.sweep(), store.authorize(grant())]) {
      await expect(call).rejects.toThrow(StoreUnavailable)
    }
  })
})

describe('a store that cannot be opened', () => {
  test.each([
    ['a folder that is not there', () => join(folder.path, 'none', 'oriel.db')],
    ['a folder', () => folder.path],
    ['a file that is no database', () => import.meta.filename],
  ])('is refused with the file and a remedy: %s', async (_, file) => {
    const error = await openTokenStore(`sqlite:${file()}`).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ConfigError)
    const [fault] = (error as ConfigError).faults
    expect(fault?.path).toBe('tokens.store')
    expect(fault?.message).toContain(file())
    expect(fault?.message).toContain('give a file that this user may write')
  })

  test.each(['mysql://u:p@db.example/d?ssl-ca=', 'postgres://u:p@db.example/d?sslrootcert='])(
    'refuses a file of CAs of more than 16 MiB in %s',
    async (url) => {
      const file = freshFile()
      await writeFile(file, '')
      await truncate(file, 16 * 2 ** 20 + 1)
      await expect(openTokenStore(`${url}${file}`, { startTimeoutMs: 0 })).rejects.toThrow('it has more than 16 MiB')
    },
  )

  test.each(['oriel.db', 'sqlite:', 'redis://h', 'toString:x'])('is refused for the name %s', async (name) => {
    await expect(openTokenStore(name)).rejects.toThrow('names no store')
  })
})

const modeOf = async (file: string) => ((await stat(file)).mode & 0o777).toString(8)

async function withinStores<T>(file: string, use: (stores: Stores) => Promise<T>): Promise<T> {
  await using stores = await openStores(`sqlite:${file}`)
  return await use(stores)
}

async function within<T>(
  file: string,
  use: (store: Awaited<ReturnType<typeof openTokenStore>>) => Promise<T>,
): Promise<T> {
  await using store = await openTokenStore(`sqlite:${file}`)
  return await use(store)
}
