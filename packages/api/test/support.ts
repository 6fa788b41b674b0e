/** What the API's tests share: an app over fakes, callers by name, and answers taken apart. */
import { EXTENSION_PATH, extensionOpenapi, readFault } from '@oriel/contract'
import { loadConfig, silentLogger } from '@oriel/runtime'
import {
  ApiConfig,
  type ApiDeps,
  type Authenticator,
  type ConsoleAddress,
  createApi,
  type Identity,
  openStores,
  type Server,
  type Source,
  Unauthenticated,
} from '../src/index.ts'

export const SERVER_ID = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
export const PROJECT = '1'.repeat(32)
export const OTHER_PROJECT = '2'.repeat(32)

/** Callers; the token of each is its name. */
export const callers = {
  member: { userId: 'alice', projectId: PROJECT, roles: ['member', 'reader'] },
  reader: { userId: 'rita', projectId: PROJECT, roles: ['reader'] },
  norole: { userId: 'nora', projectId: PROJECT, roles: [] },
  admin: { userId: 'adam', projectId: OTHER_PROJECT, roles: ['admin', 'member', 'reader'] },
  service: { userId: 'proxy', projectId: OTHER_PROJECT, roles: ['service'] },
  otherService: { userId: 'other-proxy', projectId: OTHER_PROJECT, roles: ['service'] },
  stranger: { userId: 'sam', projectId: OTHER_PROJECT, roles: ['member', 'reader'] },
  unscoped: { userId: 'una', roles: ['member', 'admin'] },
} as const satisfies Record<string, Identity>
export type Caller = keyof typeof callers

export const server = (changes: Partial<Server> = {}): Server => ({
  id: SERVER_ID,
  name: 'web-1',
  projectId: PROJECT,
  vmState: 'active',
  taskState: null,
  host: 'compute-1',
  ...changes,
})

export const address: ConsoleAddress = {
  host: '10.0.0.5',
  port: 5901,
  tlsPort: 5902,
  internalAccessPath: 'inside',
}

/** A source of `servers` whose consoles are all at `address`. */
export const fakeSource = (servers: readonly Server[] = [server()], changes: Partial<Source> = {}): Source => ({
  name: 'fake',
  list: async () => servers,
  find: async (id) => servers.find((each) => each.id === id),
  console: async () => address,
  output: async () => 'one\ntwo\nthree',
  [Symbol.asyncDispose]: async () => {},
  ...changes,
})

export const fakeAuthenticator: Authenticator = {
  wwwAuthenticate: 'Keystone uri="https://keystone.example/v3"',
  async authenticate({ token, serviceToken }) {
    const identity = (callers as Readonly<Record<string, Identity>>)[token ?? '']
    if (!identity || (serviceToken !== undefined && serviceToken !== 'service')) throw new Unauthenticated('unknown')
    return identity
  },
  [Symbol.asyncDispose]: async () => {},
}

/** A whole configuration: the defaults, and what `toml` says. */
export const configOf = (toml = ''): ApiConfig => loadConfig(ApiConfig, { toml: `auth.method = "static"\n${toml}` })

export interface TestApi extends AsyncDisposable {
  readonly deps: ApiDeps
  call(method: string, path: string, options?: CallOptions): Promise<Answer>
}
export interface CallOptions {
  readonly as?: Caller
  readonly version?: string
  readonly body?: unknown
  /** A body as it is, in place of `body` as JSON. */
  readonly raw?: string | Uint8Array
  readonly headers?: Readonly<Record<string, string>>
}
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: unknown
  /** The fault's key and message, if it is one. */
  readonly fault: { readonly key: string; readonly message: string } | undefined
}

/** An API over fakes, with every console type enabled unless `toml` says otherwise. */
export async function testApi({
  toml = 'consoles.webmks.enabled = true',
  ...changes
}: Partial<ApiDeps> & { toml?: string } = {}): Promise<TestApi> {
  const stores = await openStores('sqlite::memory:')
  const deps: ApiDeps = {
    config: configOf(toml),
    authenticator: fakeAuthenticator,
    source: fakeSource(),
    tokens: stores.tokens,
    sessions: stores.sessions,
    invitations: stores.invitations,
    serialPorts: stores.serialPorts,
    ports: stores.ports,
    control: stores.control,
    log: silentLogger(),
    ...changes,
  }
  const app = createApi(deps)
  return {
    deps,
    async call(method, path, options = {}) {
      // As Node's server does: the raw target is beside the request, whose URL has lost its dot segments.
      const url = `http://api.example${path}`
      const response = await app.request(new Request(url, init(method, options)), undefined, {
        incoming: { url: path },
      })
      requireDocumented(method, path, response.status)
      return answerOf(response)
    },
    [Symbol.asyncDispose]: () => stores[Symbol.asyncDispose](),
  }
}

/** Throws if a route of the extension answers with a status that its OpenAPI document lacks. */
function requireDocumented(method: string, path: string, status: number): void {
  const responses = extensionResponses.find(([route]) => route.test(`${method} ${path}`))?.[1]
  if (responses && !Object.hasOwn(responses, status))
    throw new Error(`${method} ${path} answered ${status}, which the OpenAPI document of the extension lacks`)
}

/** The documented responses of each route, by the method and path of its requests. */
const extensionResponses = Object.entries(extensionOpenapi().paths as Paths).flatMap(([path, operations]) =>
  Object.entries(operations).map(([method, { responses }]) => {
    const pattern = `${EXTENSION_PATH}${path}`.replace(/\{\w+\}/g, '[^/]+')
    return [RegExp(`^${method.toUpperCase()} ${pattern}(\\?|$)`), responses] as const
  }),
)
type Paths = Readonly<Record<string, Readonly<Record<string, { readonly responses: object }>>>>

function init(method: string, { as = 'member', version, body, raw, headers }: CallOptions): RequestInit {
  const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body))
  return {
    method,
    headers: {
      'X-Auth-Token': as,
      ...(sent !== undefined && {
        'Content-Type': 'application/json',
        'Content-Length': String(Buffer.byteLength(sent)),
      }),
      ...(version !== undefined && { 'OpenStack-API-Version': `compute ${version}` }),
      ...headers,
    },
    ...(sent !== undefined && { body: sent as string }),
  }
}

export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text()
  const isJson = response.headers.get('Content-Type')?.includes('json') ?? false
  const body: unknown = isJson && text !== '' ? JSON.parse(text) : text
  const fault = response.status < 400 ? undefined : readFault(body)
  return {
    status: response.status,
    headers: response.headers,
    body,
    fault: fault && { key: fault.key, message: fault.detail.message },
  }
}

/** The body that asks for a console. */
export const remoteConsole = (protocol: string, type: string) => ({ remote_console: { protocol, type } })
export const consolesPath = (id = SERVER_ID) => `/v2.1/servers/${id}/remote-consoles`
export const actionPath = (id = SERVER_ID) => `/v2.1/servers/${id}/action`
export const tokenPath = (token: string) => `/v2.1/os-console-auth-tokens/${token}`
