/** A running proxy on loopback with a Nova stub, and clients for it. Shared by the tests of this package. */
import { once } from 'node:events'
import { createLogger, loadConfig, parseListen, type Secret } from '@oriel/runtime'
import {
  connectPeer,
  defaultTimeoutMs,
  type NovaRequest,
  type NovaServer,
  type NovaStub,
  type Peer,
  type ScriptedServer,
  scriptedServer,
  startNovaStub,
  within,
} from '@oriel/testkit'
import { WebSocket } from 'ws'
import type { Admission } from '../src/authority/authority.ts'
import { novaAuthority } from '../src/authority/nova.ts'
import type { MoveTimes } from '../src/connect/moves.ts'
import {
  type Authority,
  createProxy,
  type ProxyConfig,
  proxyConfig,
  type RunningProxy,
  refineProxyConfig,
  type Timing,
} from '../src/index.ts'
import type { PageSessions } from '../src/session/page-sessions.ts'

export const TOKEN = 'f9906a48-b71e-4f18-baca-c987da3ebdb3'
export const OTHER_TOKEN = '0b7a3c11-5b7c-4d6e-9a39-7f1f9f1f0e55'
export const INSTANCE = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
export const ADMIN_TOKEN = 'service-credential-of-the-proxy'

export interface Captured {
  readonly lines: string[]
  readonly text: () => string
  /** Returns the records with the message `msg`. */
  records(msg: string): Record<string, unknown>[]
}

export interface Running extends AsyncDisposable {
  readonly proxy: RunningProxy
  readonly nova: NovaStub
  readonly hypervisor: ScriptedServer
  /** `host:port` of the first listener. */
  readonly address: string
  readonly log: Captured
}

export interface RunOptions {
  /** Plays the hypervisor after its RFB handshake. Default: waits until the connection closes. */
  readonly guest?: (peer: Peer) => Promise<void>
  /** Plays the hypervisor from its first byte. */
  readonly hypervisor?: (peer: Peer) => Promise<void>
  /** The types of the first listener. Default: only noVNC. */
  readonly consoles?: readonly string[]
  /** Further members of Nova's connect info for both tokens. */
  readonly connectInfo?: { readonly port?: number; readonly internal_access_path?: string }
  /** Nova's response for the server. Default: the stub's. */
  readonly server?: NovaServer | undefined
  /** Further keys of the first listener, as TOML. */
  readonly listener?: string
  /** TOML in addition to `[authority]` and `[[listen]]`. */
  readonly toml?: string
  readonly timing?: Partial<Timing>
  readonly pages?: string
  /** Further members of the admission of a token, as another authority than Nova returns them. */
  readonly admission?: (token: string) => Partial<Admission>
  /** The authority's answer to where a console is. Default: it cannot say. */
  readonly locate?: Authority['locate']
  /** Whether a session may go on where the console is. Default: every one. */
  readonly follow?: Authority['follow']
  /** Default: consoles are not held. */
  readonly holdPort?: Authority['holdPort']
  /** The invitations to a session whose admission has an `inviter`. Default: no page may invite. */
  readonly invitationsOf?: Authority['invitationsOf']
  readonly moveTimes?: Partial<MoveTimes>
  /** Whether the authority creates consoles for sessions that are resumed. Default: false. */
  readonly renew?: boolean
  /** The newest microversion of the Nova stub. Default: the stub's. */
  readonly maxMicroversion?: string
  /** Whether the authority counts as one without credentials. Default: it does not. */
  readonly unauthenticated?: boolean
  /** Deadline of a look-up. Default: so long that only a hanging look-up reaches it. */
  readonly timeoutMs?: number
  /** Default: those of the proxy. */
  readonly pageSessions?: PageSessions
}

/** Starts everything. `TOKEN` and `OTHER_TOKEN` are for consoles of the scripted hypervisor. */
export async function running(options: RunOptions = {}): Promise<Running> {
  await using opened = new AsyncDisposableStack()
  const guest = options.guest ?? ((peer: Peer) => peer.closed({ timeoutMs: 60_000 }))
  const hypervisor = opened.use(await scriptedServer(options.hypervisor ?? (async (peer) => shakeThen(peer, guest))))
  const { host, port } = hypervisor
  const console = { instance_uuid: INSTANCE, host, port, ...options.connectInfo }
  const tokens = { [TOKEN]: console, [OTHER_TOKEN]: console }
  const servers = options.server === undefined ? {} : { servers: { [INSTANCE]: options.server } }
  const newest = options.maxMicroversion === undefined ? {} : { maxMicroversion: options.maxMicroversion }
  const nova = opened.use(await startNovaStub({ tokens, ...servers, adminToken: ADMIN_TOKEN, ...newest }))
  const log = capture()
  const config = configOf(nova.url, `${options.listener ?? ''}\n${options.toml ?? ''}`, '127.0.0.1:0', options.consoles)
  const auth = { headers: async () => ({ 'X-Auth-Token': ADMIN_TOKEN }) }
  const { timeoutMs = defaultTimeoutMs, renew = false } = options
  const asked = novaAuthority({ endpoint: nova.url, auth, timeoutMs, renew })
  const admitting = options.admission ? adding(asked, options.admission) : asked
  const { locate, follow, holdPort, invitationsOf } = options
  const moving = { ...(locate && { locate }), ...(follow && { follow }) }
  const played = { ...moving, ...(holdPort && { holdPort }), ...(invitationsOf && { invitationsOf }) }
  const authority = Object.assign(admitting, played)
  const { pages, timing = {}, unauthenticated, pageSessions, moveTimes } = options
  const given = { pages, timing, unauthenticated, pageSessions, moveTimes }
  const proxy = opened.use(await createProxy({ config, authority, log: log.logger, ...given }))
  await forgetOwnQuestions(authority, nova)
  const close = opened.move()
  return {
    proxy,
    nova,
    hypervisor,
    address: proxy.listeners[0]!.address,
    log,
    [Symbol.asyncDispose]: () => close.disposeAsync(),
  }
}

/** Returns an authority that adds members to each admission. */
export function adding(authority: Authority, more: (token: string) => Partial<Admission>): Authority {
  return {
    ...authority,
    health: authority.health,
    admit: async (token, ...rest) => ({ ...(await authority.admit(token, ...rest)), ...more(token.reveal()) }),
    [Symbol.asyncDispose]: () => authority[Symbol.asyncDispose](),
  }
}

/** Waits for the proxy's own first request, and removes it: tests count only requests on behalf of clients. */
export async function forgetOwnQuestions(authority: Pick<Authority, 'health'>, { requests }: NovaStub): Promise<void> {
  await Promise.resolve(authority.health.check()).catch(() => {})
  ;(requests as NovaRequest[]).splice(0)
}

/** Builds a valid configuration with one listener, by default on a free port. */
export function configOf(
  endpoint: string,
  toml = '',
  listen = '127.0.0.1:0',
  consoles: readonly string[] = ['novnc'],
): ProxyConfig {
  const text = `
    [authority]
    endpoint = "${endpoint}"
    auth = { method = "token", token = "${ADMIN_TOKEN}" }
    [[listen]]
    address = "${listen}"
    consoles = ${JSON.stringify(consoles)}
    ${toml}`
  // Scripted hypervisors send no name of a guest. Tests of the identity set this key.
  const env = /identity/.test(toml) ? {} : { ORIEL_HYPERVISOR__IDENTITY: 'off' }
  return loadConfig(proxyConfig, { toml: text, env, refine: refineProxyConfig })
}

export function capture() {
  const lines: string[] = []
  const logger = createLogger({ name: 'test', level: 'trace', destination: { write: (line) => void lines.push(line) } })
  const records = (msg: string) =>
    lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((record) => record.msg === msg)
  return { logger, lines, text: () => lines.join(''), records }
}

/** Plays RFB 3.8 with security type None like QEMU, then `guest`. */
export async function shakeThen(peer: Peer, guest: (peer: Peer) => Promise<void>): Promise<void> {
  await peer.send(Buffer.from('RFB 003.008\n'))
  await peer.expect(Buffer.from('RFB 003.008\n'))
  await peer.send(Buffer.of(1, 1))
  await peer.expect(Buffer.of(1))
  await peer.send(Buffer.of(0, 0, 0, 0))
  await guest(peer)
}

/** A WebSocket client whose messages can be read like a stream. */
export interface Client extends Disposable {
  readonly ws: WebSocket
  /** The number of received pings, including a first one that arrives together with the 101. */
  readonly pings: number
  read(length: number): Promise<Buffer>
  closed(): Promise<{ code: number; text: string }>
}

export interface DialOptions {
  readonly path?: string
  readonly headers?: Record<string, string>
  readonly protocols?: string[]
  readonly autoPong?: boolean
  /** The client's address. Default: 127.0.0.1. */
  readonly localAddress?: string
}

/** Opens a console. Rejects with the status if it is refused. */
export async function dial(address: string, options: DialOptions = {}): Promise<Client> {
  const { path = `/?token=${TOKEN}`, headers = {}, protocols = ['binary'], autoPong = true, ...more } = options
  const ws = new WebSocket(`ws://${address}${path}`, protocols, {
    ...more,
    headers,
    autoPong,
    perMessageDeflate: false,
  })
  const client = clientOf(ws)
  ws.on('unexpected-response', (_, response) => ws.emit('error', new Error(`status ${response.statusCode}`)))
  await within(once(ws, 'open'), defaultTimeoutMs, () => 'the WebSocket did not open')
  return client
}

/** Plays the client's side of the RFB handshake, after which the relay begins. */
export async function open(address: string, options: DialOptions = {}): Promise<Client> {
  const client = await dial(address, options)
  await client.read(12)
  client.ws.send(Buffer.from('RFB 003.008\n'))
  await client.read(2)
  client.ws.send(Buffer.of(1))
  await client.read(4)
  return client
}

function clientOf(ws: WebSocket): Client {
  const held: Buffer[] = []
  let length = 0
  let pings = 0
  let news = Promise.withResolvers<void>()
  const note = () => {
    news.resolve()
    news = Promise.withResolvers()
  }
  ws.on('message', (data: Buffer) => {
    held.push(data)
    length += data.length
    note()
  })
  ws.on('ping', () => {
    pings += 1
  })
  const closed = new Promise<{ code: number; text: string }>((resolve) =>
    ws.on('close', (code, text) => resolve({ code, text: text.toString() })),
  )
  ws.on('error', () => {})
  return {
    ws,
    get pings() {
      return pings
    },
    read: async (wanted) => {
      const enough = async () => {
        while (length < wanted) await news.promise
      }
      await within(enough(), defaultTimeoutMs, () => `wanted ${wanted} bytes, have ${length}`)
      const all = Buffer.concat(held.splice(0))
      held.push(all.subarray(wanted))
      length -= wanted
      return all.subarray(0, wanted)
    },
    closed: () => within(closed, defaultTimeoutMs, () => 'the WebSocket is still open'),
    [Symbol.dispose]: () => ws.terminate(),
  }
}

export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** Sends a raw request and returns the response: for headers that no WebSocket client would send. */
export async function raw(address: string, lines: readonly string[], body = ''): Promise<RawAnswer> {
  using peer = await connectPeer(parseListen(address))
  await peer.send(Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`))
  const text = (await peer.readToEnd()).toString('latin1')
  const [head = '', ...rest] = text.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), head, body: rest.join('\r\n\r\n') }
}

export const UPGRADE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
] as const

/** Sends a handwritten Upgrade request. */
export function upgrade(
  address: string,
  target = `/?token=${TOKEN}`,
  headers: readonly string[] = [],
): Promise<RawAnswer> {
  const host = headers.some((line) => /^host:/i.test(line)) ? [] : [`Host: ${address}`]
  return raw(address, [`GET ${target} HTTP/1.1`, ...host, ...UPGRADE, ...headers])
}

export type { Secret }
