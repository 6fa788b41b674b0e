/** Starts a real Keystone for one test: SQLite and keys in a temporary folder, on a free port of loopback. */
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort, type RunningProgram, startProgram, temporaryFolder } from '@oriel/testkit'
import { copyKept } from './kept-folder.ts'

export const ADMIN = { name: 'admin', password: 'admin-password-of-the-tests', project: 'admin' } as const

export interface KeystoneOptions {
  /** The lifetime of tokens. Default: an hour. */
  readonly tokenSeconds?: number
}

export interface KeystoneUser {
  readonly name: string
  readonly password: string
}

export interface Keystone extends AsyncDisposable {
  /** Such as `http://127.0.0.1:5000/v3`. */
  readonly authUrl: string
  /** Creates a project, and returns its id. */
  createProject(name: string): Promise<string>
  /** Creates a user of the default domain with these roles on the project. Creates missing roles. */
  createUser(name: string, projectId: string, ...roles: string[]): Promise<KeystoneUser>
  /** Signs in. Without a project the token is unscoped. */
  token(user: KeystoneUser, projectId?: string): Promise<string>
  /** Returns a system-scoped token of the administrator. */
  systemToken(): Promise<string>
  revoke(token: string): Promise<void>
  /** Adds the compute service to the catalogue at this URL, region RegionOne. */
  registerCompute(endpointUrl: string): Promise<void>
  /** Adds a service to the catalogue, such as `image`. */
  registerService(type: string, name: string, endpointUrl: string): Promise<void>
  /** Returns the OS_ variables with which OpenStack's clients sign in. */
  environment(user: KeystoneUser, project: string): Record<string, string>
  /** Stops the process. Disposing does the same. */
  stop(): Promise<void>
}

/** Timeout of hooks that start a Keystone: they run five programs, each of which takes seconds. */
export const KEYSTONE_HOOK_MS = 300_000
const setUpTimeoutMs = 120_000
const startTimeoutMs = 60_000
const region = 'RegionOne'

export async function startKeystone({ tokenSeconds = 3600 }: KeystoneOptions = {}): Promise<Keystone> {
  await using scope = new AsyncDisposableStack()
  const folder = join(scope.use(await temporaryFolder()).path, 'keystone')
  const port = await freePort()
  const authUrl = `http://127.0.0.1:${port}/v3`
  await setUp(folder, authUrl, tokenSeconds)
  const program = scope.use(await serve(folder, port))
  await answers(authUrl, program)
  const admin = await administrator(authUrl, () => program.stderr)
  const rest = scope.move()
  return {
    ...admin,
    authUrl,
    environment: (user, project) => ({
      OS_AUTH_URL: authUrl,
      OS_IDENTITY_API_VERSION: '3',
      OS_USERNAME: user.name,
      OS_PASSWORD: user.password,
      OS_PROJECT_NAME: project,
      OS_USER_DOMAIN_NAME: 'Default',
      OS_PROJECT_DOMAIN_NAME: 'Default',
      OS_REGION_NAME: region,
    }),
    async stop() {
      await program.stop()
    },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

// The process

async function setUp(folder: string, authUrl: string, tokenSeconds: number): Promise<void> {
  const { stdout: installed } = await promisify(execFile)('dpkg-query', ['--status', 'keystone'])
  await copyKept([installed, userInfo().uid, initialise.toString()], initialise, folder)
  await writeFile(fileIn(folder), configuration(folder, tokenSeconds))
  const urls = ['public', 'internal', 'admin'].flatMap((kind) => [`--bootstrap-${kind}-url`, authUrl])
  await manage(folder, 'bootstrap', '--bootstrap-password', ADMIN.password, '--bootstrap-region-id', region, ...urls)
}

/** Creates the database and the keys of a Keystone, without any project or user. */
async function initialise(folder: string): Promise<void> {
  for (const name of ['fernet', 'credential']) await mkdir(join(folder, name), { mode: 0o700 })
  await writeFile(fileIn(folder), configuration(folder, 0))
  const { stdout: group } = await promisify(execFile)('id', ['-gn'])
  const owner = ['--keystone-user', userInfo().username, '--keystone-group', group.trim()]
  await Promise.all([
    // Debian's Keystone 22 fails with an AttributeError at the end of this command, after all work is done.
    manage(folder, 'db_sync'),
    manage(folder, 'fernet_setup', ...owner),
    manage(folder, 'credential_setup', ...owner),
  ])
  letReadersNotBlockWriters(join(folder, 'keystone.db'))
}

const fileIn = (folder: string) => join(folder, 'keystone.conf')

const manage = (folder: string, ...args: string[]) =>
  promisify(execFile)('keystone-manage', ['--config-file', fileIn(folder), ...args], { timeout: setUpTimeoutMs })

/**
 * Sets WAL mode, which the file keeps: Keystone leaves reads open, so that its own writes would find a locked database.
 */
function letReadersNotBlockWriters(file: string): void {
  using database = new DatabaseSync(file)
  database.exec('PRAGMA journal_mode = WAL')
}

const configuration = (folder: string, tokenSeconds: number) => `
[DEFAULT]
log_file = ${folder}/keystone.log
[database]
connection = sqlite:///${folder}/keystone.db
[fernet_tokens]
key_repository = ${folder}/fernet
[credential]
key_repository = ${folder}/credential
[identity]
password_hash_rounds = 4
[token]
expiration = ${tokenSeconds}
`

function serve(folder: string, port: number): Promise<RunningProgram> {
  const env = { OS_KEYSTONE_CONFIG_DIR: folder, OS_KEYSTONE_CONFIG_FILES: 'keystone.conf' }
  return startProgram({ command: 'keystone-wsgi-public', args: ['-b', '127.0.0.1', '-p', String(port)], env })
}

/** Polls until Keystone answers: it does not report when it is ready. */
async function answers(authUrl: string, program: RunningProgram): Promise<void> {
  const deadline = performance.now() + startTimeoutMs
  let ended = false
  program.exited.then(() => {
    ended = true
  })
  for (;;) {
    const ready = await fetch(authUrl).then(
      ({ ok }) => ok,
      () => false,
    )
    if (ready) return
    if (ended || performance.now() > deadline) throw new Error(`Keystone did not start: ${program.stderr}`)
    await sleep(50)
  }
}

// The administrator's REST calls

type Administration = Pick<
  Keystone,
  'createProject' | 'createUser' | 'token' | 'systemToken' | 'revoke' | 'registerCompute' | 'registerService'
>

interface Call {
  readonly method?: string
  readonly token?: string
  readonly headers?: Record<string, string>
  readonly body?: unknown
}

async function administrator(authUrl: string, stderr: () => string): Promise<Administration> {
  async function call(path: string, { method = 'POST', token, headers = {}, body }: Call): Promise<Response> {
    const auth = token === undefined ? {} : { 'X-Auth-Token': token }
    const response = await fetch(authUrl + path, {
      method,
      headers: { 'Content-Type': 'application/json', ...auth, ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(startTimeoutMs),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}\n${stderr()}`)
    return response
  }

  async function signIn({ name, password }: KeystoneUser, scope: unknown): Promise<string> {
    const user = { name, password, domain: { id: 'default' } }
    const auth = { identity: { methods: ['password'], password: { user } }, scope }
    return (await call('/auth/tokens', { body: { auth } })).headers.get('x-subject-token')!
  }

  const asAdmin = () => signIn(ADMIN, { project: { name: ADMIN.project, domain: { id: 'default' } } })

  async function create(kind: string, fields: object): Promise<string> {
    const created = await call(`/${kind}s`, { token: await asAdmin(), body: { [kind]: fields } })
    return ((await created.json()) as Record<string, { id: string }>)[kind]!.id
  }

  async function roleId(name: string): Promise<string> {
    const found = await call(`/roles?name=${name}`, { method: 'GET', token: await asAdmin() })
    const { roles } = (await found.json()) as { roles: { id: string }[] }
    return roles[0]?.id ?? create('role', { name })
  }

  async function registerService(type: string, name: string, url: string): Promise<void> {
    const serviceId = await create('service', { type, name })
    await create('endpoint', { service_id: serviceId, interface: 'public', region_id: region, url })
  }

  return {
    createProject: (name) => create('project', { name, domain_id: 'default' }),
    async createUser(name, projectId, ...roles) {
      const user = { name, password: `password-of-${name}` }
      const userId = await create('user', { ...user, domain_id: 'default' })
      for (const role of roles) {
        const path = `/projects/${projectId}/users/${userId}/roles/${await roleId(role)}`
        await call(path, { method: 'PUT', token: await asAdmin() })
      }
      return user
    },
    token: (user, projectId) => signIn(user, projectId === undefined ? 'unscoped' : { project: { id: projectId } }),
    systemToken: () => signIn(ADMIN, { system: { all: true } }),
    async revoke(token) {
      await call('/auth/tokens', { method: 'DELETE', token: await asAdmin(), headers: { 'X-Subject-Token': token } })
    },
    registerService,
    registerCompute: (endpointUrl) => registerService('compute', 'nova', endpointUrl),
  }
}
