/** Starts the built programs as an operator does, each with its configuration file, on loopback. */
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Client, createClient, staticToken } from '@oriel/sdk'
import { freePort, type LogRecord, type RunningProgram, startProgram, temporaryFolder } from '@oriel/testkit'
import { stringify } from 'smol-toml'

export const PROJECT = '6f70656e737461636b206d6174746572'
export const MEMBER_TOKEN = 'member-token-of-the-tests'
/** The token of another member of the same project. */
export const COLLEAGUE_TOKEN = 'colleague-token-of-the-tests'
export const SERVICE_TOKEN = 'service-token-of-the-tests'
export const READER_TOKEN = 'reader-token-of-the-tests'
export const ADMIN_TOKEN = 'admin-token-of-the-tests'
/** The token of a member of another project. */
export const STRANGER_TOKEN = 'stranger-token-of-the-tests'
export const OTHER_PROJECT = '00000000000000000000000000000002'

type Toml = Record<string, unknown>

/** Returns the file of an app that `npm run build` creates. */
export const programFile = (app: 'api' | 'proxy' | 'oriel') =>
  fileURLToPath(new URL(`../../../apps/${app}/dist/main.js`, import.meta.url))

/** Starts a program with `config` as its file in a temporary folder, which is deleted with the program. */
export async function startApp(
  app: 'api' | 'proxy' | 'oriel',
  config: Toml,
  env: NodeJS.ProcessEnv = {},
  ...args: readonly string[]
) {
  await using scope = new AsyncDisposableStack()
  const folder = scope.use(await temporaryFolder())
  const file = join(folder.path, `${app}.toml`)
  await writeFile(file, stringify(config))
  const program = scope.use(
    await startProgram({ file: programFile(app), args: ['--config', file, ...args], env, cwd: folder.path }),
  )
  const rest = scope.move()
  return Object.assign(program, { folder: folder.path, [Symbol.asyncDispose]: () => rest.disposeAsync() })
}

export interface ServerEntry extends Toml {
  readonly id: string
  readonly name: string
}

export interface PairOptions {
  readonly servers: readonly ServerEntry[]
  /** Merged into api.toml and proxy.toml, table by table. */
  readonly api?: Toml
  readonly proxy?: Toml
  /** The port for clients if they connect through a balancer. Default: the proxy's port. */
  readonly publicPort?: number
}

export interface Pair extends AsyncDisposable {
  readonly api: RunningProgram & { readonly folder: string }
  readonly proxy: RunningProgram
  readonly apiPort: number
  readonly proxyPort: number
  /** A client of a member of the servers' project. */
  readonly client: Client
}

/** Starts api and proxy as two processes. The proxy has a service token and no other secret of the api. */
export async function startPair({ servers, api = {}, proxy = {}, publicPort }: PairOptions): Promise<Pair> {
  await using scope = new AsyncDisposableStack()
  const [apiPort, proxyPort] = [await freePort(), await freePort()]
  const apiProgram = scope.use(await startApp('api', merge(apiConfig(apiPort, publicPort ?? proxyPort, servers), api)))
  await listening(apiProgram)
  const proxyToml = merge(proxyConfig(apiPort, proxyPort), proxy)
  const proxyProgram = scope.use(await startApp('proxy', proxyToml))
  await listening(proxyProgram, (proxyToml.listen as unknown[]).length)
  const client = createClient({ endpoint: `http://127.0.0.1:${apiPort}/v2.1`, auth: staticToken(MEMBER_TOKEN) })
  const rest = scope.move()
  return {
    ...{ api: apiProgram, proxy: proxyProgram, apiPort, proxyPort, client },
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  }
}

/** Resolves with the log record of the last of `count` listeners, which start one after another. */
export function listening(program: RunningProgram, count = 1): Promise<LogRecord> {
  const listeners = () => program.records.filter(({ msg, listener }) => msg === 'listening' && listener !== 'admin')
  return program.waitForLog((record) => record === listeners()[count - 1])
}

export const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

export const apiConfig = (port: number, proxyPort: number, servers: readonly ServerEntry[]): Toml => ({
  listen: `127.0.0.1:${port}`,
  auth: {
    method: 'static',
    static: {
      tokens: [
        { sha256: sha256(MEMBER_TOKEN), user_id: 'alice', project_id: PROJECT, roles: ['member'] },
        { sha256: sha256(COLLEAGUE_TOKEN), user_id: 'bob', project_id: PROJECT, roles: ['member'] },
        { sha256: sha256(SERVICE_TOKEN), user_id: 'oriel-proxy', project_id: PROJECT, roles: ['service'] },
        { sha256: sha256(READER_TOKEN), user_id: 'rita', project_id: PROJECT, roles: ['reader'] },
        { sha256: sha256(ADMIN_TOKEN), user_id: 'adam', project_id: OTHER_PROJECT, roles: ['admin'] },
        { sha256: sha256(STRANGER_TOKEN), user_id: 'sam', project_id: OTHER_PROJECT, roles: ['member'] },
      ],
    },
  },
  tokens: { store: 'sqlite:oriel.db' },
  consoles: { novnc: { base_url: `http://127.0.0.1:${proxyPort}/vnc_lite.html` } },
  sources: servers.length === 0 ? [] : [{ kind: 'static', servers: servers.map(active) }],
})

const active = (server: ServerEntry) => ({ project_id: PROJECT, status: 'ACTIVE', ...server })

export const proxyConfig = (apiPort: number, port: number): Toml => ({
  authority: {
    kind: 'nova',
    endpoint: `http://127.0.0.1:${apiPort}/v2.1`,
    auth: { method: 'token', token: SERVICE_TOKEN },
  },
  listen: [{ address: `127.0.0.1:${port}`, consoles: ['novnc'] }],
  // Scripted hypervisors send no guest name that the proxy could check.
  hypervisor: { identity: 'warn' },
  admin: { listen: '127.0.0.1:0' },
})

/** Merges `over` into `base`. Merges tables, and replaces other values. */
export function merge(base: Toml, over: Toml): Toml {
  const joined = Object.entries(over).map(([key, value]) => [
    key,
    isTable(value) && isTable(base[key]) ? merge(base[key], value) : value,
  ])
  return { ...base, ...Object.fromEntries(joined) }
}

const isTable = (value: unknown): value is Toml => typeof value === 'object' && value !== null && !Array.isArray(value)
