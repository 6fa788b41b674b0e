/** Starts real database servers for one test: in a temporary folder, on a free port of loopback. */
import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmod, copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort, type RunningProgram, startProgram, temporaryFolder, within } from '@oriel/testkit'
import { createConnection } from 'mysql2/promise'
import pg from 'pg'
import { copyKept } from './kept-folder.ts'

export interface DatabaseServerOptions {
  /** The folder of `temporaryPki` with the server's certificate. Default: no TLS. */
  readonly tls?: string
  /** An empty folder for the data, such as a small disk. Default: a temporary folder. */
  readonly folder?: string
}

export interface DatabaseServer extends AsyncDisposable {
  readonly port: number
  /** The folder with its files. */
  readonly folder: string
  /** Creates an empty database, owned by a user with a password, and returns its URL. Default name: a random one. */
  createDatabase(name?: string): Promise<string>
  /** Deletes the rows of all tables in the database of `url`, except for those of the migrator. */
  empty(url: string): Promise<void>
  /** Makes the database read-only for that user, as when a primary becomes a replica. */
  becomeReadOnly(): Promise<void>
  /** Makes the database writable again. */
  becomeWritable(): Promise<void>
  /** Runs `sql` as the administrator in the database of `url`, and returns the rows. */
  query(url: string, sql: string): Promise<readonly Record<string, unknown>[]>
  /** Locks a table in the database of `url` until disposal. */
  lock(url: string, table: string): Promise<AsyncDisposable>
  /** Returns the number of connections of `createDatabase`'s user to the database of `url`. */
  connections(url: string): Promise<number>
  /** Restarts the server after it has ended. */
  start(): Promise<void>
  /** Stops the server cleanly, but without waiting for clients. */
  stop(): Promise<void>
  /** Sends SIGKILL. */
  kill(): Promise<void>
}

/** Returns the URL of the same database with other parts. */
export const moved = (url: string, changes: { host?: string; port?: number; password?: string; search?: string }) => {
  const to = new URL(url)
  if (changes.host !== undefined) to.hostname = changes.host
  if (changes.port !== undefined) to.port = String(changes.port)
  if (changes.password !== undefined) to.password = changes.password
  if (changes.search !== undefined) to.search = changes.search
  return to.href
}

const USER = { name: 'oriel', password: 'p@ss:w/rd#?' } as const
const ADMIN_PASSWORD = 'password-of-the-administrator'
const MARIADBD = '/usr/sbin/mariadbd'
const setUpTimeoutMs = 60_000
const startTimeoutMs = 30_000
const stopTimeoutMs = 30_000
const runsAsRoot = process.getuid?.() === 0

/** Starts a PostgreSQL of the newest installed version. */
export async function startPostgres(options: DatabaseServerOptions = {}): Promise<DatabaseServer> {
  const bin = await postgresFolder()
  const asUser = (program: string, args: string[]) => as('postgres', join(bin, program), args)
  const port = await freePort()
  return startServer(options, {
    account: 'postgres',
    port,
    stopSignal: 'SIGINT',
    version: () => versionOf(join(bin, 'postgres')),
    async setUp(data) {
      const secret = join(data, 'password')
      await writeFile(secret, ADMIN_PASSWORD, { mode: 0o644 })
      const initdb = asUser('initdb', [
        ...['-D', join(data, 'cluster'), '-U', 'postgres', '-E', 'UTF8', '--locale=C.UTF-8', '--wal-segsize=1'],
        ...['-A', 'scram-sha-256', `--pwfile=${secret}`, '--no-sync'],
      ])
      await run(initdb.command, initdb.args, { timeout: setUpTimeoutMs })
    },
    command: (data, tls) =>
      asUser('postgres', [
        ...['-D', join(data, 'cluster'), '-p', String(port), '-h', '127.0.0.1', '-k', data],
        // `fsync=off`: tests kill the server, never the machine, and written data survives the server without fsync.
        ...['max_connections=50', 'min_wal_size=2MB', 'max_wal_size=4MB', 'fsync=off'].flatMap((s) => ['-c', s]),
        ...(tls
          ? ['ssl=on', `ssl_cert_file=${tls}/server-cert.pem`, `ssl_key_file=${tls}/server-key.pem`].flatMap((s) => [
              '-c',
              s,
            ])
          : []),
      ]),
    query: (database, sql) => queryPostgres({ port, database: database || 'postgres' }, sql),
    lock: (database, table) => lockPostgres({ port, database }, table),
    prepare: `create role ${USER.name} login password '${USER.password}'`,
    // Without the strategy, the whole template goes through the write-ahead log.
    create: (name) => [`create database ${name} owner ${USER.name} strategy file_copy`],
    count: (name) =>
      `select count(*)::int as n from pg_stat_activity where datname = '${name}' and usename = '${USER.name}'`,
    tables: "select tablename as name from pg_tables where schemaname = 'public'",
    readOnly: ['alter system set default_transaction_read_only = on', 'select pg_reload_conf()'],
    writable: ['alter system reset default_transaction_read_only', 'select pg_reload_conf()'],
    scheme: 'postgres',
  })
}

/** Starts a MariaDB. */
export async function startMariadb(options: DatabaseServerOptions = {}): Promise<DatabaseServer> {
  const port = await freePort()
  let socketPath = ''
  return startServer(options, {
    account: 'mysql',
    version: () => versionOf(MARIADBD),
    port,
    stopSignal: 'SIGTERM',
    async setUp(data) {
      const user = runsAsRoot ? ['--user=mysql'] : []
      const where = ['--no-defaults', `--datadir=${join(data, 'data')}`, ...user]
      const how = ['--auth-root-authentication-method=normal', '--skip-test-db', '--innodb-log-file-size=4M']
      await run('mariadb-install-db', [...where, ...how], { timeout: setUpTimeoutMs })
    },
    command(data, tls) {
      socketPath = join(data, 'socket')
      return {
        command: MARIADBD,
        args: [
          ...['--no-defaults', `--datadir=${join(data, 'data')}`, `--socket=${socketPath}`, `--port=${port}`],
          ...['--bind-address=127.0.0.1', '--skip-name-resolve', `--pid-file=${join(data, 'pid')}`],
          // A server that starts deletes the temporary tables that it finds there, those of others too.
          `--tmpdir=${data}`,
          ...['--innodb-log-file-size=4M', '--innodb-buffer-pool-size=32M', '--max-connections=50'],
          // As PostgreSQL's `fsync=off` above.
          ...['--innodb-flush-method=nosync', '--debug-no-sync'],
          ...(runsAsRoot ? ['--user=mysql'] : []),
          ...(tls
            ? [`--ssl-ca=${tls}/ca-cert.pem`, `--ssl-cert=${tls}/server-cert.pem`, `--ssl-key=${tls}/server-key.pem`]
            : []),
        ],
      }
    },
    query: (database, sql) => queryMariadb({ socketPath, database }, sql),
    lock: (database, table) => lockMariadb({ socketPath, database }, table),
    prepare: `create user ${USER.name}@'%' identified by '${USER.password}'`,
    create: (name) => [`create database ${name}`, `grant all on ${name}.* to ${USER.name}@'%'`],
    count: (name) =>
      `select count(*) as n from information_schema.processlist where db = '${name}' and user = '${USER.name}'`,
    tables: 'select table_name as name from information_schema.tables where table_schema = database()',
    readOnly: ['set global read_only = 1'],
    writable: ['set global read_only = 0'],
    scheme: 'mysql',
  })
}

interface Kind {
  /** The system account of the server if the test runs as root. */
  readonly account: string
  version(): Promise<string>
  readonly port: number
  /** Stops the server without waiting for its clients. */
  readonly stopSignal: NodeJS.Signals
  /** Initialises an empty folder, so that copies of it are the files of a new server. */
  setUp(data: string): Promise<void>
  command(data: string, tls: string | undefined): { command: string; args: string[] }
  query(database: string, sql: string): Promise<Record<string, unknown>[]>
  lock(database: string, table: string): Promise<AsyncDisposable>
  readonly prepare: string
  create(name: string): readonly string[]
  count(name: string): string
  /** A query for the names of the tables in a database. */
  readonly tables: string
  readonly readOnly: readonly string[]
  readonly writable: readonly string[]
  readonly scheme: string
}

async function startServer({ tls, folder }: DatabaseServerOptions, kind: Kind): Promise<DatabaseServer> {
  await using scope = new AsyncDisposableStack()
  const home = folder ?? scope.use(await temporaryFolder()).path
  await chmod(home, 0o711)
  const data = join(home, 'server')
  await copyKept(
    [await kind.version(), process.getuid?.(), kind.setUp.toString()],
    async (folder) => {
      await give(folder, kind.account)
      await kind.setUp(folder)
    },
    data,
  )
  const certificates = tls === undefined ? undefined : await takeCertificates(tls, join(data, 'tls'), kind.account)
  let program: RunningProgram | undefined
  const end = async (signal: NodeJS.Signals) => {
    if (!program) return
    const { pid, exited } = program
    program = undefined
    try {
      process.kill(pid, signal)
    } catch (error) {
      // The server has already exited, which may happen on a full disk.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
    await within(exited, stopTimeoutMs, () => `${kind.scheme} is still there after ${signal}`)
  }
  const start = async () => {
    program = await answering(kind, () => startProgram(kind.command(data, certificates)))
  }
  scope.defer(() => end(kind.stopSignal))
  await start()
  await kind.query('', kind.prepare)
  const rest = scope.move()
  return {
    ...{ port: kind.port, folder: home, start },
    stop: () => end(kind.stopSignal),
    kill: () => end('SIGKILL'),
    async becomeReadOnly() {
      for (const sql of kind.readOnly) await kind.query('', sql)
    },
    async becomeWritable() {
      for (const sql of kind.writable) await kind.query('', sql)
    },
    async createDatabase(name = `oriel_${randomBytes(6).toString('hex')}`) {
      for (const sql of kind.create(name)) await kind.query('', sql)
      const user = `${USER.name}:${encodeURIComponent(USER.password)}`
      return `${kind.scheme}://${user}@127.0.0.1:${kind.port}/${name}`
    },
    async empty(url) {
      const names = (await kind.query(nameIn(url), kind.tables)).map(({ name }) => String(name))
      const emptied = names.filter((name) => !name.startsWith('kysely_'))
      await kind.query(nameIn(url), emptied.map((name) => `delete from ${name}`).join('; '))
    },
    query: (url, sql) => kind.query(nameIn(url), sql),
    lock: (url, table) => kind.lock(nameIn(url), table),
    connections: async (url) => Number((await kind.query('', kind.count(nameIn(url))))[0]!.n),
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

const nameIn = (url: string) => new URL(url).pathname.slice(1)

/** Starts the server, with retries: after a kill, remains of the former process may block it for a moment. */
async function answering(kind: Kind, begin: () => Promise<RunningProgram>): Promise<RunningProgram> {
  const deadline = performance.now() + startTimeoutMs
  let program = await begin()
  let hasEnded = watchEnd(program)
  for (;;) {
    const failure = await kind.query('', 'select 1').then(
      () => undefined,
      (error: unknown) => error,
    )
    if (failure === undefined) return program
    if (performance.now() > deadline) {
      await program.stop()
      throw new Error(`${kind.scheme} did not start: ${program.stderr}`, { cause: failure })
    }
    await sleep(50)
    if (!hasEnded()) continue
    program = await begin()
    hasEnded = watchEnd(program)
  }
}

function watchEnd(program: RunningProgram): () => boolean {
  let hasEnded = false
  program.exited.then(() => {
    hasEnded = true
  })
  return () => hasEnded
}

// Queries

interface PostgresPlace {
  readonly port: number
  readonly database: string
}

async function connectPostgres(where: PostgresPlace): Promise<pg.Client> {
  const options = { host: '127.0.0.1', user: 'postgres', password: ADMIN_PASSWORD, connectionTimeoutMillis: 5_000 }
  const client = new pg.Client({ ...options, ...where, ssl: false })
  client.on('error', () => {})
  await client.connect()
  return client
}

async function queryPostgres(where: PostgresPlace, sql: string): Promise<Record<string, unknown>[]> {
  const client = await connectPostgres(where)
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

async function lockPostgres(where: PostgresPlace, table: string): Promise<AsyncDisposable> {
  const client = await connectPostgres(where)
  await client.query(`begin; lock table ${table} in access exclusive mode`)
  return {
    async [Symbol.asyncDispose]() {
      await client.query('rollback')
      await client.end()
    },
  }
}

interface MariadbPlace {
  readonly socketPath: string
  readonly database: string
}

const connectMariadb = (where: MariadbPlace) =>
  createConnection({ ...where, user: 'root', connectTimeout: 5_000, multipleStatements: true })

async function queryMariadb(where: MariadbPlace, sql: string): Promise<Record<string, unknown>[]> {
  const client = await connectMariadb(where)
  try {
    return (await client.query(sql))[0] as Record<string, unknown>[]
  } finally {
    client.destroy()
  }
}

async function lockMariadb(where: MariadbPlace, table: string): Promise<AsyncDisposable> {
  const client = await connectMariadb(where)
  await client.query(`lock tables ${table} write`)
  return {
    async [Symbol.asyncDispose]() {
      await client.query('unlock tables')
      client.destroy()
    },
  }
}

// The system

const run = promisify(execFile)

const versionOf = async (program: string) => (await run(program, ['--version'])).stdout

/** Runs a command as another account if the tests run as root, otherwise as the current user. */
function as(account: string, command: string, args: string[]): { command: string; args: string[] } {
  if (!runsAsRoot) return { command, args }
  return { command: 'setpriv', args: [`--reuid=${account}`, `--regid=${account}`, '--clear-groups', command, ...args] }
}

async function give(path: string, account: string): Promise<void> {
  if (runsAsRoot) await run('chown', ['-R', `${account}:${account}`, path])
}

async function takeCertificates(from: string, to: string, account: string): Promise<string> {
  await mkdir(to)
  for (const name of ['ca-cert.pem', 'server-cert.pem', 'server-key.pem']) {
    await copyFile(join(from, name), join(to, name))
    await chmod(join(to, name), 0o600)
  }
  await give(to, account)
  return to
}

async function postgresFolder(): Promise<string> {
  const debian = '/usr/lib/postgresql'
  const versions = (await readdir(debian)).filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(a) - Number(b))
  return join(debian, versions.at(-1)!, 'bin')
}

export interface SmallDisk extends AsyncDisposable {
  readonly path: string
  /** Fills the remaining space. */
  fill(): Promise<void>
  /** Frees the space again. */
  free(): Promise<void>
}

/** Mounts a file system of this size in memory. Needs root. */
export async function smallDisk(megabytes: number): Promise<SmallDisk> {
  const folder = await temporaryFolder()
  await chmod(folder.path, 0o711)
  const path = join(folder.path, 'disk')
  await mkdir(path)
  await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=711`, 'tmpfs', path])
  const filler = join(path, 'filler')
  return {
    path,
    fill: () => run('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096']).then(undefined, () => undefined),
    free: () => rm(filler),
    async [Symbol.asyncDispose]() {
      await run('umount', ['--lazy', path])
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** Whether this process may mount a file system. */
export function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
