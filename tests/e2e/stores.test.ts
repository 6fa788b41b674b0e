/** The stores on real PostgreSQL and MariaDB servers: the shared suite, concurrent starts, refusals, TLS. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { openStores, openTokenStore } from '@oriel/api'
import { controlStoreSuite } from '@oriel/api/test/control-store-suite'
import { serialPortStoreSuite } from '@oriel/api/test/serial-port-store-suite'
import { newSession, sessionStoreSuite } from '@oriel/api/test/session-store-suite'
import { consoleAuthTokenStoreSuite, grant } from '@oriel/api/test/token-store-suite'
import { ConfigError, sha256Hex } from '@oriel/runtime'
import { requires, temporaryFolder, temporaryPki } from '@oriel/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type DatabaseServer,
  type DatabaseServerOptions,
  moved,
  startMariadb,
  startPostgres,
} from './parts/databases.ts'
import { startGate } from './parts/gate.ts'
import { startReplica } from './parts/replica.ts'
import { BLOCKED, sqliteHold } from './parts/sqlite-hold.ts'

/** Statements of the migrations, with our tables and indexes that exist before each. */
const halfWays = [
  { statement: /create table [^(]*.console_auth_tokens\W/, left: [] },
  {
    statement: /create index [^(]*.console_auth_tokens_expires_at\W/,
    left: ['console_auth_tokens', 'console_auth_tokens_server_id'],
  },
  {
    statement: /insert into .kysely_migration\W/,
    left: ['console_auth_tokens', 'console_auth_tokens_expires_at', 'console_auth_tokens_server_id'],
  },
  {
    statement: /create index [^(]*.sessions_server\W/,
    left: [
      ...['console_auth_tokens', 'console_auth_tokens_expires_at', 'console_auth_tokens_server_id'],
      ...['sessions', 'sessions_newest', 'sessions_project'],
    ],
  },
  {
    statement: /create table [^(]*.proxies\W/,
    left: [
      ...['console_auth_tokens', 'console_auth_tokens_expires_at', 'console_auth_tokens_server_id'],
      ...['sessions', 'sessions_ended_at', 'sessions_newest', 'sessions_project', 'sessions_proxy', 'sessions_server'],
    ],
  },
  {
    statement: /create table [^(]*.session_options\W/,
    left: [
      ...['console_auth_token_options', 'console_auth_token_options_expires_at'],
      ...['console_auth_tokens', 'console_auth_tokens_expires_at', 'console_auth_tokens_server_id'],
      ...['ended_families', 'proxies', 'proxy_owners', 'session_families', 'session_families_family'],
      ...['sessions', 'sessions_ended_at', 'sessions_newest', 'sessions_project', 'sessions_proxy', 'sessions_server'],
      'write_probes',
    ],
  },
  {
    statement: /alter table .sessions. add column/,
    left: [
      ...['console_auth_token_options', 'console_auth_token_options_expires_at'],
      ...['console_auth_tokens', 'console_auth_tokens_expires_at', 'console_auth_tokens_server_id', 'ended_families'],
      ...['invitations', 'invitations_expires_at', 'invitations_family'],
      ...['port_holds', 'port_holds_hold', 'port_holds_yielding'],
      ...['proxies', 'proxy_groups', 'proxy_groups_group', 'proxy_owners', 'serial_logs'],
      ...['session_families', 'session_families_family', 'session_options', 'session_options_invitation'],
      ...['sessions', 'sessions_ended_at', 'sessions_newest', 'sessions_project', 'sessions_proxy', 'sessions_server'],
      ...['standing_proxies', 'write_probes'],
    ],
  },
]

/** Removes the names that the migrator and the database create. */
const ours = (names: readonly string[]) => names.filter((name) => !/^kysely|^PRIMARY$|_pkey$|^sqlite_/.test(name))

describeStores('postgres', startPostgres, {
  ...{ off: 'sslmode=disable', ca: 'sslrootcert', transactional: true },
  definitions: "select relname as name from pg_class where relnamespace = 'public'::regnamespace",
})
describeStores('mariadb', startMariadb, {
  ...{ off: 'ssl-mode=DISABLED', ca: 'ssl-ca', transactional: false },
  definitions: `select distinct name from (
    select table_name as name from information_schema.tables where table_schema = database() union all
    select index_name from information_schema.statistics where table_schema = database()) as both_kinds`,
})

interface Words {
  readonly off: string
  readonly ca: string
  /** A query for the names of tables and indexes. */
  readonly definitions: string
  /** Whether a killed migration leaves no tables. */
  readonly transactional: boolean
}

describe('SQLite', () => {
  it.for(halfWays)('finishes a migration that was killed before $statement', async ({ statement }) => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'oriel.db')
    const hold = sqliteHold(folder.path)
    await hold.at('before', statement)
    await using killed = await startReplica({ store: `sqlite:${file}`, env: hold.env, unready: true })
    await killed.program.waitForLog(({ msg }) => msg === BLOCKED)
    await killed.kill()
    const whole = join(folder.path, 'whole.db')
    await using _whole = await openStores(`sqlite:${whole}`)
    expect(ours(definitionsIn(file))).toEqual([])
    await using again = await openStores(`sqlite:${file}`)
    await again.tokens.authorize(grant())
    expect(await again.sessions.find('none')).toBeUndefined()
    expect(definitionsIn(file)).toEqual(definitionsIn(whole))
  })
})

function definitionsIn(file: string): readonly string[] {
  using db = new DatabaseSync(file)
  return db
    .prepare('select name from sqlite_schema order by 1')
    .all()
    .map(({ name }) => String(name))
}

function describeStores(
  part: 'postgres' | 'mariadb',
  startServer: (options?: DatabaseServerOptions) => Promise<DatabaseServer>,
  words: Words,
): void {
  const { skip, reason } = requires(part)
  describe.skipIf(skip)(`a real ${part}${reason}`, () => {
    const parts = new AsyncDisposableStack()
    let server: DatabaseServer
    beforeAll(async () => {
      server = parts.use(await startServer())
    })
    afterAll(() => parts.disposeAsync())

    const emptied: string[] = []
    /** Opens stores in a new database or one that an earlier test has left, since creating and migrating one takes longer than a test. */
    async function openEmpty<T extends AsyncDisposable>(open: (url: string) => Promise<T>): Promise<T> {
      const url = emptied.pop() ?? (await server.createDatabase())
      const stores = await open(url)
      return {
        ...stores,
        async [Symbol.asyncDispose]() {
          await stores[Symbol.asyncDispose]()
          await server.empty(url)
          emptied.push(url)
        },
      }
    }

    consoleAuthTokenStoreSuite(part, (now) => openEmpty((url) => openTokenStore(url, { now })))
    sessionStoreSuite(part, (now) => openEmpty((url) => openStores(url, { now })))
    controlStoreSuite(part, (now) => openEmpty((url) => openStores(url, { now })))
    serialPortStoreSuite(part, (now) => openEmpty((url) => openStores(url, { now })))

    it('lets eight processes migrate an empty database concurrently', async () => {
      const url = await server.createDatabase()
      const opened = await Promise.all(Array.from({ length: 8 }, () => openStores(url)))
      await using scope = new AsyncDisposableStack()
      for (const stores of opened) scope.use(stores)
      const { token } = await opened[0]!.tokens.authorize(grant())
      for (const { tokens } of opened) expect(await tokens.find(token)).toMatchObject({ userId: 'alice' })
    })

    it.for(halfWays)('finishes a migration that was killed before $statement', async ({ statement, left }) => {
      const whole = await server.createDatabase()
      await using _whole = await openStores(whole)
      const url = await server.createDatabase()
      await using gate = await startGate(server.port)
      const asked = gate.refuse(statement)
      await using killed = await startReplica({ store: moved(url, { port: gate.port }), unready: true })
      await asked
      await killed.kill()
      await expect.poll(() => server.connections(url)).toBe(0)
      const names = async (url: string) =>
        (await server.query(url, words.definitions)).map(({ name }) => String(name)).toSorted()
      expect(ours(await names(url))).toEqual(words.transactional ? [] : left)
      await using again = await openStores(url)
      await again.tokens.authorize(grant())
      expect(await again.sessions.find('none')).toBeUndefined()
      expect(await names(url)).toEqual(await names(whole))
    })

    it('keeps tokens and sessions of a version without options', async () => {
      const url = await server.createDatabase()
      const before = await openStores(url)
      const { token } = await before.tokens.authorize(grant())
      const session = await before.sessions.add(newSession())
      await before[Symbol.asyncDispose]()
      const asBefore = [
        ...['drop table console_auth_token_options', 'drop table session_options', 'drop table invitations'],
        ...['console_auth_tokens', 'sessions'].map((table) => `alter table ${table} drop column may_invite`),
        `delete from kysely_migration where name >= '006'`,
      ]
      for (const statement of asBefore) await server.query(url, statement)
      await using after = await openStores(url)
      expect(await after.tokens.find(token)).toMatchObject({ userId: 'alice', role: 'control', singleUse: false })
      expect(await after.sessions.list({ limit: 2 })).toEqual([session])
      const watch = await after.tokens.authorize(grant({ role: 'watch' }))
      expect(await after.tokens.find(watch.token)).toMatchObject({ role: 'watch' })
    })

    it('lets an older version start after a newer one has added to the tables', async () => {
      const url = await server.createDatabase()
      const before = await openStores(url)
      const { token } = await before.tokens.authorize(grant())
      await before[Symbol.asyncDispose]()
      const asAfter = [
        'alter table console_auth_tokens add column of_a_newer_version integer not null default 0',
        `insert into kysely_migration values ('999-of-a-newer-version', '2030-01-01T00:00:00Z')`,
      ]
      for (const statement of asAfter) await server.query(url, statement)
      await using older = await startReplica({ store: url })
      await older.program.waitForLog(({ msg }) => msg === 'a newer oriel-api has migrated the database')
      expect(await older.use((await older.mint()).token!)).toBe(200)
      await using stores = await openTokenStore(url)
      expect(await stores.find(token)).toMatchObject({ userId: 'alice' })
      await server.query(url, `update kysely_migration set name = '999-new-breaking' where name like '999%'`)
      await expect(openTokenStore(url)).rejects.toThrow('a newer oriel-api wrote this database; start that version')
    })

    it('hides tokens with options from a version that does not know them, which still revokes them', async () => {
      const url = await server.createDatabase()
      await using store = await openTokenStore(url)
      const { token } = await store.authorize(grant({ role: 'watch' }))
      const where = `where token_sha256 = '${sha256Hex(token)}'`
      expect(await server.query(url, `select * from console_auth_tokens ${where}`)).toEqual([])
      expect(await store.find(token)).toMatchObject({ role: 'watch' })
      await server.query(url, `delete from console_auth_tokens where server_id = 'server-1'`)
      expect(await store.find(token)).toBeUndefined()
    })

    it('lets one of two replicas use a single-use token', async () => {
      const url = await server.createDatabase()
      await using one = await openTokenStore(url)
      await using other = await openTokenStore(url)
      for (let round = 0; round < 10; round += 1) {
        const { id } = await one.authorize(grant({ singleUse: true }))
        const uses = await Promise.all([one, other, one, other].map((store, i) => store.use(id, `client ${i}`, 0)))
        expect(uses.filter((isFirst) => isFirst)).toHaveLength(1)
      }
    })

    it('accepts connections over its Unix socket', async () => {
      const { pathname, username, password } = new URL(await server.createDatabase())
      const folder = join(server.folder, 'server')
      const search = words.transactional ? `host=${folder}&port=${server.port}` : `socketPath=${join(folder, 'socket')}`
      const scheme = words.transactional ? 'postgresql' : 'mysql'
      await using store = await openTokenStore(`${scheme}://${username}:${password}@${pathname}?${search}`)
      await store.check()
    })

    it('contains only digests of tokens', async () => {
      const url = await server.createDatabase()
      await using store = await openTokenStore(url)
      const { token } = await store.authorize(grant())
      const rows = JSON.stringify(await server.query(url, 'select * from console_auth_tokens'))
      expect(rows).toContain('alice')
      expect(rows).not.toContain(token)
    })

    it('has no connection left after the store is closed', async () => {
      const url = await server.createDatabase()
      {
        await using store = await openTokenStore(url, { poolMax: 4 })
        await Promise.all(Array.from({ length: 50 }, () => store.authorize(grant())))
        expect(await server.connections(url)).toBe(4)
      }
      await expect.poll(() => server.connections(url)).toBe(0)
    })

    it('refuses a wrong password at once, with an error that contains no password', async () => {
      const url = moved(await server.createDatabase(), { password: 'wrong-password' })
      await using api = await startReplica({ store: url, unready: true })
      expect(await api.program.exited).toEqual({ code: 2, signal: null })
      expect(api.program.stderr).toMatch(/tokens\.store: cannot use \w+ database oriel_\w+ at 127\.0\.0\.1:\d+ \(/)
      expect(api.program.stderr + JSON.stringify(api.program.records)).not.toContain('wrong-password')
    })

    it('has an error of its own for a missing database', async () => {
      const url = `${await server.createDatabase()}x`
      await expect(openTokenStore(url)).rejects.toThrow(/tokens\.store: cannot use/)
    })

    it('is used without TLS only if the URL allows it', async () => {
      const url = moved(await server.createDatabase(), { host: 'localhost' })
      await using pki = await temporaryPki()
      const demanding = moved(url, { search: `${words.ca}=${pki.path}/ca-cert.pem` })
      await expect(openTokenStore(demanding, { startTimeoutMs: 0 })).rejects.toThrow(/TLS|SSL|secure connection/i)
      await using store = await openTokenStore(moved(url, { search: words.off }))
      await store.check()
    })
  })

  describe.skipIf(skip)(`a real ${part} with TLS${reason}`, () => {
    it('is accepted only with a certificate of the CA and for its name', async () => {
      await using pki = await temporaryPki({ addresses: [], names: ['localhost'] })
      await using other = await temporaryPki()
      await using server = await startServer({ tls: pki.path })
      const url = moved(await server.createDatabase(), { host: 'localhost' })
      const trusting = (folder: string) => moved(url, { search: `${words.ca}=${folder}/ca-cert.pem` })
      await using store = await openTokenStore(trusting(pki.path))
      expect(await store.find((await store.authorize(grant())).token)).toBeDefined()
      await expect(openTokenStore(trusting(other.path))).rejects.toThrow(ConfigError)
      await expect(openTokenStore(moved(trusting(pki.path), { host: '127.0.0.1' }))).rejects.toThrow(ConfigError)
    })

    it('is refused by a name that its certificate does not contain', async () => {
      await using pki = await temporaryPki({ addresses: [], names: ['db.example'] })
      await using server = await startServer({ tls: pki.path })
      const search = `${words.ca}=${pki.path}/ca-cert.pem`
      const url = moved(await server.createDatabase(), { host: 'localhost', search })
      await expect(openTokenStore(url)).rejects.toThrow(/localhost/)
    })
  })
}
