/** Starts a replica of the API with one server, and creates and uses console tokens. */
import { freePort, type RunningProgram } from '@oriel/testkit'
import { apiConfig, listening, MEMBER_TOKEN, merge, SERVICE_TOKEN, startApp } from './oriel.ts'

export const SERVER_ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
const PORT_OF_CONSOLE = 5911
const callTimeoutMs = 30_000

export interface Minted {
  readonly status: number
  /** The token of a response with status 200. */
  readonly token: string | undefined
  readonly retryAfter: string | null
}

export interface Replica extends AsyncDisposable {
  readonly program: RunningProgram
  readonly origin: string
  /** Creates a console as a member of the project. @throws if there is no response. */
  mint(): Promise<Minted>
  /** Looks the token up, and returns the status. @throws if there is no response, or a wrong address in it. */
  use(token: string): Promise<number>
  /** Returns the status of `/readyz`. */
  ready(): Promise<number>
  /** Sends SIGKILL. */
  kill(): Promise<void>
}

export interface ReplicaOptions {
  readonly store: string
  /** More keys of the table `tokens`. */
  readonly tokens?: Record<string, unknown>
  readonly env?: NodeJS.ProcessEnv
  /** Whether to resolve before the replica listens. */
  readonly unready?: boolean
}

export async function startReplica({
  store,
  tokens = {},
  env = {},
  unready = false,
}: ReplicaOptions): Promise<Replica> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const servers = [{ id: SERVER_ID, name: 'web-1', consoles: { vnc: { host: '127.0.0.1', port: PORT_OF_CONSOLE } } }]
  const program = await startApp('api', merge(apiConfig(port, 6080, servers), { tokens: { store, ...tokens } }), env)
  try {
    if (!unready) await listening(program)
  } catch (error) {
    await program[Symbol.asyncDispose]()
    throw error
  }
  return {
    ...{ program, origin },
    mint: () => mint(origin),
    use: (token) => use(origin, token),
    ready: async () => (await call(`${origin}/readyz`)).status,
    async kill() {
      process.kill(program.pid, 'SIGKILL')
      await program.exited
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  }
}

async function mint(origin: string): Promise<Minted> {
  const response = await call(`${origin}/v2.1/servers/${SERVER_ID}/remote-consoles`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'OpenStack-API-Version': 'compute 2.6',
      'X-Auth-Token': MEMBER_TOKEN,
    },
    body: JSON.stringify({ remote_console: { protocol: 'vnc', type: 'novnc' } }),
  })
  const body = (await response.json()) as { remote_console?: { url: string } }
  const { status } = response
  return { status, token: body.remote_console?.url.slice(-36), retryAfter: response.headers.get('Retry-After') }
}

async function use(origin: string, token: string): Promise<number> {
  const headers = { 'OpenStack-API-Version': 'compute 2.99', 'X-Auth-Token': SERVICE_TOKEN }
  const response = await call(`${origin}/v2.1/os-console-auth-tokens/${token}`, { headers })
  const body = (await response.json()) as { console?: { instance_uuid: string; port: number } }
  const leads = body.console?.instance_uuid === SERVER_ID && body.console.port === PORT_OF_CONSOLE
  if (response.status === 200 && !leads) throw new Error(`The token leads elsewhere: ${JSON.stringify(body)}`)
  return response.status
}

const call = (url: string, init: RequestInit = {}) =>
  fetch(url, { ...init, signal: AbortSignal.timeout(callTimeoutMs) })
