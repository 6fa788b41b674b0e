/** Names of stores: what they mean, what is wrong with them, and that no password is ever said. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { userInfo } from 'node:os'
import { inspect } from 'node:util'
import { ConfigError, loadConfig, Secret } from '@oriel/runtime'
import { describe, expect, test } from 'vitest'
import { parseDatabaseUrl } from '../../src/database/database-url.ts'
import { mariadbTarget } from '../../src/database/mariadb.ts'
import { reachStore, storeNameFault } from '../../src/database/open.ts'
import { postgresTarget } from '../../src/database/postgres.ts'
import { ApiConfig, openTokenStore, refineApiConfig } from '../../src/index.ts'

const words = { defaultPort: 1, socket: 'host', cafile: 'ca', tls: { key: 'mode', off: 'off', on: 'on' } }
const parse = (url: string) => parseDatabaseUrl(url, words)

describe('the URL of a database', () => {
  test('has all parts of an address', () => {
    const { password, ...rest } = parse('x://us%40er:p%2Fw%23@db.example:54/my%20data?mode=on&ca=/etc/ca.pem')
    const tls = { cafile: '/etc/ca.pem' }
    expect(rest).toEqual({ host: 'db.example', port: 54, user: 'us@er', database: 'my data', tls })
    expect(password?.reveal()).toBe('p/w#')
  })

  test.each([
    ['localhost', false],
    ['127.0.0.1', false],
    ['127.9.9.9', false],
    ['[::1]', false],
    ['10.0.0.1', true],
    ['db.example', true],
    ['localhost.example', true],
  ])('with the host %s has TLS by default: %s', (host, expected) => {
    expect(parse(`x://u@${host}/d`).tls !== undefined).toBe(expected)
    expect(parse(`x://u@${host}/d?mode=on`).tls).toEqual({})
    expect(parse(`x://u@${host}/d?mode=off`).tls).toBeUndefined()
    expect(parse(`x://u@${host}/d?ca=f`).tls).toEqual({ cafile: 'f' })
  })

  test('may have a Unix socket instead of the host', () => {
    expect(parse('x://u@db.example/d?host=/run/postgresql')).toMatchObject({ socket: '/run/postgresql' })
    expect(parse('x://u@db.example/d?host=/run/postgresql').tls).toBeUndefined()
  })

  test.each([
    ['postgresql:///oriel?host=/run/postgresql', userInfo().username, 5432],
    ['postgres://me@/oriel?host=/run/postgresql', 'me', 5432],
    ['postgres://me:secret@/oriel?host=%2Frun%2Fpostgresql&port=5433', 'me', 5433],
    ['postgresql:///oriel?host=/run/postgresql&user=me', 'me', 5432],
    ['postgresql://%2Frun%2Fpostgresql/oriel', userInfo().username, 5432],
    ['postgresql://me@%2Frun%2Fpostgresql:5433/oriel', 'me', 5433],
  ])('%s has a Unix socket, as in libpq', (url, user, port) => {
    expect(parseDatabaseUrl(url, { ...words, defaultPort: 5432, hasUserAndPort: true })).toMatchObject({
      ...{ socket: '/run/postgresql', database: 'oriel', user, port },
    })
    expect(postgresTarget(url).shown).toBe('PostgreSQL database oriel at /run/postgresql')
  })

  test.each(['socket', 'socketPath'])('of MariaDB may have a Unix socket as %s', (key) => {
    const { shown } = mariadbTarget(`mysql://me:secret@/oriel?${key}=/run/mysqld/mysqld.sock`)
    expect(shown).toBe('MariaDB database oriel at /run/mysqld/mysqld.sock')
  })

  test('may have the host as a parameter', () => {
    expect(parse('x://me@/oriel?host=db.example')).toMatchObject({ host: 'db.example', tls: {} })
  })

  test.each(['require', 'prefer', 'allow', 'no-verify', 'verify-ca', ''])('is refused with sslmode=%s', (mode) => {
    expect(() => postgresTarget(`postgres://u@db.example/d?sslmode=${mode}`)).toThrow('write verify-full, or disable')
  })

  test.each(['PREFERRED', 'REQUIRED', 'VERIFY_CA'])('is refused with ssl-mode=%s', (mode) => {
    expect(() => mariadbTarget(`mysql://u@db.example/d?ssl-mode=${mode}`)).toThrow('write VERIFY_IDENTITY, or DISABLED')
  })

  test('of MariaDB with TLS is refused without a host name to verify', () => {
    expect(() => mariadbTarget('mysql://u@10.0.0.1/d')).toThrow('give the host name in its certificate')
  })

  test('is shown as database, host and port', () => {
    expect(postgresTarget('postgres://user:secret@[::1]/d').shown).toBe('PostgreSQL database d at [::1]:5432')
    expect(mariadbTarget('mysql://user:secret@localhost:33/d').shown).toBe('MariaDB database d at localhost:33')
    expect(mariadbTarget('mysql://u:s@localhost/d?socket=/run/s').shown).toBe('MariaDB database d at /run/s')
  })
})

const PASSWORD = 'hunter2hunter2'
const wrong = [
  ['a scheme that is not there', `oracle://u:${PASSWORD}@h/d`, 'names no store'],
  ['no scheme', `u:${PASSWORD}@h/d`, 'names no store'],
  ['no host', `postgres:u:${PASSWORD}`, 'is not a URL with a host'],
  ['no host and no socket', 'postgresql:///oriel', 'is not a URL with a host'],
  ['no user for a host', 'postgresql:///oriel?host=db.example', 'names no user'],
  ['a bad port of a socket', 'postgresql:///oriel?host=/run/postgresql&port=x', 'has a port'],
  ['a bad port', `postgres://u:${PASSWORD}@h:port/d`, 'is not a URL with a host'],
  ['no database', `postgres://u:${PASSWORD}@h`, 'names no database'],
  ['a database with a slash', `mysql://u:${PASSWORD}@h/d/e`, 'names no database'],
  ['no user', 'mysql://h/d', 'names no user'],
  ['a parameter that is not known', `postgres://u:${PASSWORD}@h/d?statement_timeout=0`, 'known are host, sslrootcert'],
  ['a fragment', `postgres://u:${PASSWORD}@h/d#x`, 'write %23'],
  ['a bare percent sign', `postgres://u:${PASSWORD}%@h/d`, 'write %25'],
  ['a CA without TLS', `mysql://u:${PASSWORD}@h/d?ssl-mode=DISABLED&ssl-ca=f`, 'ssl-mode=DISABLED'],
] as const

describe('a malformed name of a store', () => {
  test.each(wrong)('%s: is refused with the fault and without the password', (_, name, message) => {
    const fault = storeNameFault(name)
    expect(fault).toContain(message)
    expect(fault).not.toContain(PASSWORD)
  })

  test.each(wrong)('%s: is reported by the check of a configuration', (_, name, message) => {
    const toml = `auth.method = "none"\ntokens.store = ${JSON.stringify(name)}`
    const load = () => loadConfig(ApiConfig, { toml, refine: refineApiConfig })
    expect(load).toThrow(ConfigError)
    expect(load).toThrow(message)
    expect(load).not.toThrow(PASSWORD)
  })
})

describe('the password', () => {
  test('is hidden in the configuration', () => {
    const toml = `auth.method = "none"\ntokens.store = "postgres://u:${PASSWORD}@h/d"`
    const config = loadConfig(ApiConfig, { toml, refine: refineApiConfig })
    expect(inspect(config, { depth: null }) + JSON.stringify(config)).not.toContain(PASSWORD)
  })

  test.each([`postgres://u:${PASSWORD}@127.0.0.1:1/d`, `mysql://u:${PASSWORD}@127.0.0.1:1/d`])(
    'is not in the error if the server does not respond: %s',
    async (name) => {
      const error = await openTokenStore(new Secret(name), { startTimeoutMs: 0 }).catch((reason: unknown) => reason)
      expect(inspect(error, { depth: null })).toMatch(
        /StoreUnavailable: \w+ database d at 127\.0\.0\.1:1 could not be used/,
      )
      expect(inspect(error, { depth: null, showHidden: true })).not.toContain(PASSWORD)
    },
  )
})

test('openDatabase stops waiting for a database when its signal aborts', async () => {
  const signal = AbortSignal.timeout(50)
  const opening = openTokenStore('postgres://u@127.0.0.1:1/d', { signal, startTimeoutMs: 60_000 })
  await expect(opening).rejects.toThrow('aborted')
})

test.each(['postgres', 'mysql'])(
  'a check of an unreachable %s database says to start it or to correct the address',
  async (scheme) => {
    const port = await freePort()
    await expect(reachStore(`${scheme}://user:secret@127.0.0.1:${port}/oriel`)).rejects.toThrow(
      /\(.*ECONNREFUSED.*\), start the database, or correct the address in the URL/,
    )
  },
)

/** A port of this machine on which nothing listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
