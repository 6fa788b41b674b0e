/**
 * A stub of the part of Nova that a proxy uses, with Nova's responses: version discovery, console auth tokens, servers,
 * and the creation of consoles.
 *
 * It sends no field and no header that Nova does not send. Tests control it through the returned object, never over
 * HTTP.
 */
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { defaultTimeoutMs, type WaitOptions, within } from './deadline.ts'

/**
 * The microversions of the Nova that `tests/conformance` recorded and that this stub copies. They are facts about that
 * Nova: Oriel may serve more.
 */
export const recordedMicroversions = { min: '2.1', max: '2.104' } as const

/**
 * The data that Nova stores with a console auth token. A `tls_port`, even null, makes the token one for spice-direct.
 */
export interface NovaConsole {
  readonly instance_uuid: string
  readonly host: string
  readonly port: number
  readonly tls_port?: number | null
  readonly internal_access_path?: string | null
}

/** An instance. */
export interface NovaServer {
  readonly name: string
  /** Its name in libvirt (`OS-EXT-SRV-ATTR:instance_name`), which only administrators see. Default: absent. */
  readonly instanceName?: string
  /** Default: `active`. */
  readonly vmState?: string
  /** Default: none. */
  readonly taskState?: string | null
  /** Default: 1, running. */
  readonly powerState?: number
  /** The compute host; empty if the instance has none. Default: the same host for all instances. */
  readonly host?: string
  /**
   * The current addresses of its consoles by type, or the status with which Nova refuses to create one. A missing type
   * is unavailable (400). Default: every type has the address to which a token for the instance leads.
   */
  readonly consoles?: Readonly<Record<string, NovaAddress | 400 | 404 | 409 | 500 | 501>>
}

/** The address of a console. libvirt reports port -1 for a guest that does not run. */
export type NovaAddress = Omit<NovaConsole, 'instance_uuid'>

/** The rules of Nova's policy that a test may forbid. */
export type NovaRule = 'os-remote-consoles' | 'servers:show'

export interface NovaStubOptions {
  /** The console auth tokens and their data. */
  readonly tokens: Readonly<Record<string, NovaConsole>>
  /** The Keystone token of a caller who may read console auth tokens. */
  readonly adminToken: string
  /** The Keystone token of a caller who gets 403 for reading console auth tokens. */
  readonly memberToken?: string
  /** Instances by id. Default: one with a fixed name for each instance that a token leads to. */
  readonly servers?: Readonly<Record<string, NovaServer>>
  /** The base URLs of its console proxies by type, as in nova.conf. Default: an address at which no proxy listens. */
  readonly baseUrls?: Readonly<Record<string, string>>
  /** The newest microversion that this Nova speaks. Default: the newest of {@link recordedMicroversions}. */
  readonly maxMicroversion?: string
}

/** How requests are handled: as by Nova, never answered, the connection dropped, or a fault with this status. */
export type NovaBehaviour = 'answer' | 'hang' | 'reset' | 404 | 500 | 503

export interface NovaRequest {
  readonly method: string
  /** Path and query, as received. */
  readonly url: string
  readonly headers: IncomingMessage['headers']
}

export interface NovaStub extends AsyncDisposable {
  /** `http://127.0.0.1:PORT/v2.1`, as in a service catalogue. */
  readonly url: string
  readonly host: string
  readonly port: number
  /** Every request so far, oldest first. */
  readonly requests: readonly NovaRequest[]
  /** The valid tokens. Tests may add, change and delete entries at any time. */
  readonly tokens: Map<string, NovaConsole>
  /** The existing instances. Tests may add, change and delete entries at any time. */
  readonly servers: Map<string, NovaServer>
  /** The rules that the policy forbids to all users (403). Tests may change it at any time. */
  readonly forbidden: Set<NovaRule>
  /** Sets how requests below `/v2.1/` are handled from now on. Does not affect discovery unless `discovery` is true. */
  behave(behaviour: NovaBehaviour, options?: { discovery?: boolean }): void
  /** Resolves when at least `count` requests have been received. */
  requested(count: number, options?: WaitOptions): Promise<void>
}

/** Starts the stub on a free port of 127.0.0.1. Disposing it drops open and hanging connections. */
export async function startNovaStub(options: NovaStubOptions): Promise<NovaStub> {
  const nova = new Nova(options)
  const server = createServer((request, response) => nova.handle(request, response))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v2.1`,
    host: '127.0.0.1',
    port,
    requests: nova.requests,
    tokens: nova.tokens,
    servers: nova.servers,
    forbidden: nova.forbidden,
    behave: (behaviour, { discovery = false } = {}) => nova.behave(behaviour, discovery),
    requested: (count, wait) => nova.requested(count, wait),
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

const minMicroversion = recordedMicroversions.min
const faultKeys: Record<number, string> = {
  400: 'badRequest',
  403: 'forbidden',
  404: 'itemNotFound',
  409: 'conflictingRequest',
  501: 'notImplemented',
  503: 'serviceUnavailable',
}
const faultTexts = {
  404: 'Token not found',
  500:
    'Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach the Nova API log if ' +
    "possible.\n<class 'oslo_messaging.exceptions.MessagingTimeout'>",
  503: 'Service is unavailable at this time',
} satisfies Record<Extract<NovaBehaviour, number>, string>
const malformed = 'The server could not comply with the request since it is either malformed or otherwise incorrect.'

interface Answer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
}

class Nova {
  readonly requests: NovaRequest[] = []
  readonly tokens: Map<string, NovaConsole>
  readonly servers: Map<string, NovaServer>
  readonly forbidden = new Set<NovaRule>()
  /** Whether every token's instance exists without an entry in `servers`. */
  readonly #invents: boolean
  readonly #options: Required<Pick<NovaStubOptions, 'adminToken' | 'baseUrls' | 'maxMicroversion'>>
  readonly #memberToken: string | undefined
  #behaviour: NovaBehaviour = 'answer'
  #discoveryToo = false
  #news = Promise.withResolvers<void>()

  constructor({
    tokens,
    servers,
    adminToken,
    memberToken,
    baseUrls = {},
    maxMicroversion = recordedMicroversions.max,
  }: NovaStubOptions) {
    this.tokens = new Map(Object.entries(tokens))
    this.servers = new Map(Object.entries(servers ?? {}))
    this.#invents = servers === undefined
    this.#options = { adminToken, baseUrls, maxMicroversion }
    this.#memberToken = memberToken
  }

  behave(behaviour: NovaBehaviour, discoveryToo: boolean): void {
    this.#behaviour = behaviour
    this.#discoveryToo = discoveryToo
  }

  async requested(count: number, { timeoutMs = defaultTimeoutMs }: WaitOptions = {}): Promise<void> {
    const enough = async () => {
      while (this.requests.length < count) await this.#news.promise
    }
    await within(enough(), timeoutMs, () => `${this.requests.length} requests instead of ${count}`)
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '/', headers } = request
    this.requests.push({ method, url, headers })
    this.#news.resolve()
    this.#news = Promise.withResolvers()
    const path = url.split('?')[0]!
    const behaviour = !isDiscovery(path) || this.#discoveryToo ? this.#behaviour : 'answer'
    const body: Buffer[] = []
    request.on('data', (piece: Buffer) => void body.push(piece))
    if (behaviour === 'hang') return
    if (behaviour === 'reset') return void request.socket.resetAndDestroy()
    request.once('end', () => {
      const text = Buffer.concat(body).toString()
      send(
        response,
        path,
        typeof behaviour === 'number' ? this.#faulty(request, behaviour) : this.#respond(request, text),
      )
    })
  }

  /** Checks a request in the same order as Nova, and returns the response. */
  #respond(request: IncomingMessage, body: string): Answer {
    const [path, query = ''] = (request.url ?? '/').split('?') as [string, string?]
    const base = `http://${request.headers.host}`
    if (path === '/') return { status: 200, body: versions(base, this.#options.maxMicroversion) }
    if (isDiscovery(path)) return this.#versioned(request, () => this.#version(base))
    if (!path.startsWith('/v2.1/')) return choices(base, path)
    const user = this.#user(request)
    if (!user) return unauthorized(base)
    const [, creating] = /^\/v2\.1\/servers\/([^/]+)\/remote-consoles$/.exec(path) ?? []
    if (request.method === 'POST' && creating !== undefined) {
      return this.#versioned(request, (version) => this.#create(user, decoded(creating), body, version))
    }
    if (request.method === 'GET' && path === '/v2.1/servers/detail') {
      return this.#versioned(request, (version) => this.#list(base, query, version))
    }
    const [, resource, id] = /^\/v2\.1\/(os-console-auth-tokens|servers)\/([^/]+)$/.exec(path) ?? []
    if (request.method !== 'GET' || resource === undefined || id === undefined) return notFoundPage()
    return this.#versioned(request, (version) =>
      resource === 'servers'
        ? this.#server(user, base, decoded(id), version)
        : this.#token(user, decoded(id), query, version),
    )
  }

  #faulty(request: IncomingMessage, status: Extract<NovaBehaviour, number>): Answer {
    return this.#versioned(request, () => fault(status, faultTexts[status]))
  }

  #user(request: IncomingMessage): 'admin' | 'member' | undefined {
    const token = request.headers['x-auth-token']
    if (token === this.#options.adminToken) return 'admin'
    return token !== undefined && token === this.#memberToken ? 'member' : undefined
  }

  #versioned(request: IncomingMessage, act: (version: string) => Answer): Answer {
    const asked = requestedVersion(request)
    const max = this.#options.maxMicroversion
    const version = asked === 'latest' ? max : asked
    if (!/^[1-9]\d*\.([1-9]\d*|0)$/.test(version)) {
      return fault(400, `API Version String ${asked} is of invalid format. Must be of format MajorNum.MinorNum.`)
    }
    const inside = version.startsWith('2.') && minor(version) >= minor(minMicroversion) && minor(version) <= minor(max)
    const range = `Minimum is ${minMicroversion} and maximum is ${max}.`
    const answer = inside ? act(version) : fault(406, `Version ${version} is not supported by the API. ${range}`)
    return { ...answer, headers: { ...answer.headers, ...versionHeaders(version) } }
  }

  #version(base: string): Answer {
    return { status: 200, body: { version: { ...current(base, this.#options.maxMicroversion, true) } } }
  }

  #token(user: 'admin' | 'member', token: string, query: string, version: string): Answer {
    const unexpected = minor(version) >= 99 ? [...new Set(new URLSearchParams(query).keys())].sort() : []
    if (unexpected.length > 0) return fault(400, additionalProperties(unexpected))
    if (minor(version) < 31) return fault(400, malformed)
    if (user !== 'admin') {
      return denied('os-console-auth-tokens')
    }
    const console = this.tokens.get(token)
    return console ? { status: 200, body: { console: shown(console, version) } } : fault(404, faultTexts[404])
  }

  #server(user: 'admin' | 'member', base: string, id: string, version: string): Answer {
    const server = this.#find(id)
    if (!server) return fault(404, `Instance ${id} could not be found.`)
    if (this.forbidden.has('servers:show')) return denied('servers:show')
    const { name, instanceName } = server
    const secret = user === 'admin' && instanceName !== undefined
    const attributes = secret ? { 'OS-EXT-SRV-ATTR:instance_name': instanceName } : {}
    return {
      status: 200,
      body: { server: { ...details(base, id, version), ...stateOf(server), id, name, ...attributes } },
    }
  }

  /** Lists the servers in full. Of Nova's filters it has `name`, a regular expression. */
  #list(base: string, query: string, version: string): Answer {
    const name = new RegExp(new URLSearchParams(query).get('name') ?? '')
    const found = [...this.servers].filter(([, server]) => name.test(server.name))
    const servers = found.map(([id, server]) => ({
      ...details(base, id, version),
      ...stateOf(server),
      ...{ id, name: server.name },
    }))
    return { status: 200, body: { servers } }
  }

  /** Creates a console. Looks the server up before it checks the policy, as Nova does. */
  #create(user: 'admin' | 'member', id: string, body: string, version: string): Answer {
    if (minor(version) < 6) return notFoundPage()
    const server = this.#find(id)
    if (!server) return fault(404, `Instance ${id} could not be found.`)
    if (user !== 'admin' || this.forbidden.has('os-remote-consoles')) return denied('os-remote-consoles')
    const { protocol, type } = (JSON.parse(body) as { remote_console: { protocol: string; type: string } })
      .remote_console
    const address = server.consoles ? (server.consoles[type] ?? 400) : this.#addressOf(id)
    if (typeof address === 'number') return fault(address, createFaults(id, type)[address])
    const token = randomUUID()
    const { tls_port = null, ...clear } = address
    this.tokens.set(token, { instance_uuid: id, ...clear, ...(type === 'spice-direct' ? { tls_port } : {}) })
    const query = type === 'novnc' ? `path=%3Ftoken%3D${token}` : `token=${token}`
    const url = `${this.#options.baseUrls[type] ?? 'http://127.0.0.1:6080/console'}?${query}`
    return { status: 200, body: { remote_console: { protocol, type, url } } }
  }

  #find(id: string): NovaServer | undefined {
    const isNamed = this.#invents && [...this.tokens.values()].some(({ instance_uuid }) => instance_uuid === id)
    const invented = { name: `server-${id.slice(0, 8)}`, instanceName: INVENTED_NAME }
    return this.servers.get(id) ?? (isNamed ? invented : undefined)
  }

  #addressOf(id: string): NovaAddress | 400 {
    const found = [...this.tokens.values()].find(({ instance_uuid }) => instance_uuid === id)
    if (!found) return 400
    const { instance_uuid: _, ...address } = found
    return address
  }
}

const denied = (rule: string) => fault(403, `Policy doesn't allow os_compute_api:${rule} to be performed.`)

const createFaults = (id: string, type: string) => ({
  400: `Unavailable console type ${type}.`,
  404: `Instance ${id} could not be found.`,
  409: `Instance ${id} is not ready`,
  500: faultTexts[500],
  501: 'The requested functionality is not supported.',
})

function stateOf({ vmState = 'active', taskState = null, powerState = 1, host = 'compute-1' }: NovaServer) {
  return {
    hostId: host === '' ? '' : createHash('sha224').update(`project${host}`).digest('hex'),
    'OS-EXT-STS:task_state': taskState,
    'OS-EXT-STS:vm_state': vmState,
    'OS-EXT-STS:power_state': powerState,
  }
}

/** The name in libvirt of instances that the test did not define. */
const INVENTED_NAME = 'instance-0000002a'

/** The fields that are alike for all servers. */
function details(base: string, id: string, version: string) {
  const links = (kind: string, of: string) => [
    { rel: 'self', href: `${base}/v2.1/${kind}/${of}` },
    { rel: 'bookmark', href: `${base}/${kind}/${of}` },
  ]
  const size = { vcpus: 1, ram: 64, disk: 0, ephemeral: 0, swap: 0, original_name: 'm1.nano', extra_specs: {} }
  return {
    ...{ status: 'ACTIVE', tenant_id: 'project', user_id: 'user', metadata: {}, image: '' },
    flavor: minor(version) >= 47 ? size : { id: '42', links: links('flavors', '42') },
    ...{ created: '2026-11-22T02:00:00Z', updated: '2026-11-22T02:00:00Z' },
    ...{ addresses: {}, accessIPv4: '', accessIPv6: '', links: links('servers', id), key_name: null, config_drive: '' },
    ...{ 'OS-DCF:diskConfig': 'AUTO', 'OS-EXT-AZ:availability_zone': 'nova' },
    ...{ 'OS-SRV-USG:launched_at': '2026-11-22T02:00:00.000000', 'OS-SRV-USG:terminated_at': null },
    'os-extended-volumes:volumes_attached': [],
    ...(minor(version) >= 9 ? { locked: false } : {}),
    ...(minor(version) >= 19 ? { description: null } : {}),
    ...(minor(version) >= 26 ? { tags: [] } : {}),
    ...(minor(version) >= 73 ? { locked_reason: null } : {}),
  }
}

function isDiscovery(path: string): boolean {
  return path === '/' || path === '/v2.1' || path === '/v2.1/'
}

/**
 * Returns the last usable entry of the standard header, else the last of the legacy header, else the oldest version.
 */
function requestedVersion({ headers }: IncomingMessage): string {
  const entries = String(headers['openstack-api-version'] ?? '')
    .split(',')
    .map((entry) => entry.trim())
  const mine = entries.map((entry) => /^compute\s+(.+)$/i.exec(entry)?.[1]).findLast((version) => version !== undefined)
  const legacy = headers['x-openstack-nova-api-version']
  return mine ?? (legacy === undefined ? minMicroversion : String(legacy).split(',').at(-1)!.trim())
}

function minor(version: string): number {
  return Number(version.split('.')[1])
}

function versionHeaders(version: string): Record<string, string | readonly string[]> {
  return {
    'OpenStack-API-Version': `compute ${version}`,
    'X-OpenStack-Nova-API-Version': version,
    Vary: ['OpenStack-API-Version', 'X-OpenStack-Nova-API-Version'],
  }
}

function shown({ instance_uuid, host, port, tls_port, internal_access_path = null }: NovaConsole, version: string) {
  const known = { instance_uuid, host, port, internal_access_path }
  return tls_port !== undefined && minor(version) >= 99 ? { ...known, tls_port } : known
}

function fault(code: number, message: string): Answer {
  const headers = { 'Content-Type': 'application/json; charset=UTF-8' }
  return { status: code, headers, body: { [faultKeys[code] ?? 'computeFault']: { code, message } } }
}

function additionalProperties(names: readonly string[]): string {
  const quoted = names.map((name) => `'${name}'`).join(', ')
  return `Additional properties are not allowed (${quoted} ${names.length === 1 ? 'was' : 'were'} unexpected)`
}

/** Returns the 401 of Keystone's middleware, which runs before Nova and has its own format. */
function unauthorized(base: string): Answer {
  const message = 'The request you have made requires authentication.'
  return {
    status: 401,
    headers: { 'WWW-Authenticate': `Keystone uri="${base}/identity"` },
    body: { error: { code: 401, title: 'Unauthorized', message } },
  }
}

/** Returns the 404 for an unknown route, which Nova sends before it negotiates a version. */
function notFoundPage(): Answer {
  const headers = { 'Content-Type': 'text/plain; charset=UTF-8' }
  return { status: 404, headers, body: '404 Not Found\n\nThe resource could not be found.\n\n   ' }
}

function versions(base: string, max: string): unknown {
  const legacy = {
    id: 'v2.0',
    status: 'DEPRECATED',
    version: '',
    min_version: '',
    updated: '2025-07-04T12:00:00Z',
    links: [{ rel: 'self', href: `${base}/v2/` }],
  }
  return { versions: [legacy, current(base, max, false)] }
}

function current(base: string, max: string, whole: boolean): Record<string, unknown> {
  const self = { rel: 'self', href: `${base}/v2.1/` }
  const described = { rel: 'describedby', type: 'text/html', href: 'http://docs.openstack.org/' }
  return {
    id: 'v2.1',
    status: 'CURRENT',
    version: max,
    min_version: minMicroversion,
    updated: '2013-07-23T11:33:21Z',
    links: whole ? [self, described] : [self],
    ...(whole ? { 'media-types': mediaTypes('2.1') } : {}),
  }
}

function choices(base: string, path: string): Answer {
  const choice = (id: string, status: string, folder: string, version: string) => ({
    id,
    status,
    links: [{ rel: 'self', href: `${base}/${folder}${path}` }],
    'media-types': mediaTypes(version),
  })
  const body = { choices: [choice('v2.0', 'DEPRECATED', 'v2', '2'), choice('v2.1', 'CURRENT', 'v2.1', '2.1')] }
  return { status: 300, body }
}

function mediaTypes(version: string): unknown {
  return [{ base: 'application/json', type: `application/vnd.openstack.compute+json;version=${version}` }]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function send(response: ServerResponse, path: string, { status, body, headers = {} }: Answer): void {
  response.statusCode = status
  for (const [name, value] of Object.entries({ 'Content-Type': 'application/json', ...headers })) {
    response.setHeader(name, value)
  }
  if (path.startsWith('/v2.1')) {
    const id = `req-${randomUUID()}`
    response.setHeader('X-OpenStack-Request-ID', id)
    response.setHeader('X-Compute-Request-ID', id)
  }
  response.end(typeof body === 'string' ? body : pythonJson(body))
}

/** Serialises like Python's `json.dumps`: with a space after commas and colons, and ASCII only. */
function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([key, member]) => `${pythonJson(key)}: ${pythonJson(member)}`)
      .join(', ')}}`
  }
  return JSON.stringify(value).replaceAll(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
