/** A compute API and a console proxy on loopback, each of whose answers a test can break. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { type RefusalName, refusalClose } from '@oriel/contract'
import { REFUSALS_SUBPROTOCOL } from '@oriel/sdk/close-reasons'
import { type WebSocket, WebSocketServer } from 'ws'

export const TOKEN = 'token-of-the-doctor'
export const SERVER = '52b2e44e-e561-464c-88f3-2fc6a1ecea2b'
export const CONSOLE_TOKEN = 'token-of-the-console'

export interface Tls {
  readonly cert: Buffer
  readonly key: Buffer
}

/** Answers a request in place of the healthy server. Returns false to leave it to that. */
export type Break = (request: IncomingMessage, response: ServerResponse) => boolean

export interface Listening extends AsyncDisposable {
  readonly port: number
}

/** Listens on a free port of loopback. Disposing it drops all connections. */
export async function listen(server: Server | TcpServer): Promise<Listening> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const sockets = new Set<Duplex>()
  server.on('connection', (socket: Duplex) => sockets.add(socket))
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

const webServer = (tls: Tls | undefined, listener: RequestListener) =>
  tls === undefined ? createServer(listener) : createHttpsServer(tls, listener)

export interface FakeApiOptions {
  /** The access URL of a new console of this type. Absent: the server has no such type. */
  readonly consoles: Readonly<Record<string, string>>
  readonly broken?: Break
  readonly tls?: Tls
  readonly status?: string
}

/** Starts a compute API with Nova's routes and nothing of Oriel's. */
export const fakeApi = ({ consoles, broken = () => false, tls, status = 'ACTIVE' }: FakeApiOptions) =>
  listen(
    webServer(tls, (request, response) => {
      const body: Buffer[] = []
      request.on('data', (piece: Buffer) => void body.push(piece))
      request.once('end', () => {
        if (!broken(request, response))
          send(response, ...answerOf(request, Buffer.concat(body).toString(), consoles, status))
      })
    }),
  )

type Answer = readonly [status: number, body: unknown]

function answerOf(
  { url = '', headers }: IncomingMessage,
  body: string,
  consoles: Readonly<Record<string, string>>,
  status: string,
): Answer {
  const path = url.split('?')[0]!
  if (path === '/v2.1/') return [200, { version: VERSION }]
  if (path === '/') return [200, { versions: [VERSION] }]
  if (!path.startsWith('/v2.1/')) return [300, { choices: [VERSION] }]
  if (headers['x-auth-token'] !== TOKEN) return [401, { error: { code: 401, message: 'Sign in.' } }]
  if (path === '/v2.1/servers/detail') return [200, { servers: [{ ...SHAPE, id: SERVER, name: 'web-1', status }] }]
  const { protocol, type } = JSON.parse(body).remote_console as { protocol: string; type: string }
  const accessUrl = consoles[type]
  if (accessUrl === undefined) return [400, fault('badRequest', 400, `Unavailable console type ${type}.`)]
  return [200, { remote_console: { protocol, type, url: accessUrl } }]
}

export const fault = (key: string, code: number, message: string) => ({ [key]: { code, message } })

/** Sends JSON, or a text as a page. */
export function send(response: ServerResponse, status: number, body: unknown, headers: object = {}): true {
  const type = typeof body === 'string' ? 'text/html' : 'application/json'
  response.writeHead(status, { 'Content-Type': type, ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
  return true
}

const VERSION = { id: 'v2.1', status: 'CURRENT', version: '2.104', min_version: '2.1', updated: '', links: [] }

/** The members that the SDK expects of a server. */
const SHAPE = {
  ...{ tenant_id: '', user_id: '', metadata: {}, hostId: '', image: '', flavor: {}, tags: [], locked: false },
  ...{ created: '', updated: '', addresses: {}, accessIPv4: '', accessIPv6: '', links: [], key_name: null },
  ...{ config_drive: '', 'OS-DCF:diskConfig': '', 'OS-EXT-AZ:availability_zone': '', description: null },
  ...{ 'OS-SRV-USG:launched_at': null, 'OS-SRV-USG:terminated_at': null, 'os-extended-volumes:volumes_attached': [] },
  ...{
    'OS-EXT-STS:task_state': null,
    'OS-EXT-STS:vm_state': 'active',
    'OS-EXT-STS:power_state': 1,
    locked_reason: null,
  },
}

/** Speaks with a client whose WebSocket is open. */
export type SpeakAs = (socket: WebSocket, request: IncomingMessage) => void

export interface FakeProxyOptions {
  readonly tls?: Tls
  readonly broken?: Break
  /** Handles the Upgrade in place of the WebSocket server. */
  readonly upgrade?: (request: IncomingMessage, socket: Duplex) => void
  /** The refusal of every console. */
  readonly refusal?: readonly [name: RefusalName, allow?: string]
  readonly speak?: SpeakAs
}

/** Starts a console proxy that serves Oriel's pages, and a screen of one pixel. */
export function fakeProxy({ tls, broken = () => false, upgrade, refusal, speak = speakRfb }: FakeProxyOptions = {}) {
  const server = webServer(tls, (request, response) => {
    if (!broken(request, response)) sendPage(request, response)
  })
  if (upgrade === undefined) acceptConsoles(server, refusal, speak)
  else server.on('upgrade', upgrade)
  return listen(server)
}

function acceptConsoles(server: Server, refusal: FakeProxyOptions['refusal'], speak: SpeakAs): void {
  const sockets = new WebSocketServer({
    server,
    handleProtocols: (offered) => (refusal && offered.has(REFUSALS_SUBPROTOCOL) ? REFUSALS_SUBPROTOCOL : 'binary'),
  })
  sockets.on('connection', (socket, request) => {
    if (refusal === undefined) return speak(socket, request)
    const { code, reason } = refusalClose(refusal[0], { allow: refusal[1] })
    socket.close(code, reason)
  })
}

export const ORIELS_PAGE = '<title data-t="console">Console</title><p id="status-text">Opening…</p>'

function sendPage({ url = '' }: IncomingMessage, response: ServerResponse): void {
  const isPage = /^\/(vnc_lite|spice_auto|serial)\.html/.test(url)
  if (isPage) send(response, 200, ORIELS_PAGE)
  else send(response, 404, fault('itemNotFound', 404, 'Not found: no page has this path.'))
}

/** Serves a screen of one pixel (RFC 6143). */
export const speakRfb: SpeakAs = (socket) => {
  // The name is empty.
  const serverInit = Buffer.from('0001000120180001 00ff00ff00ff 100800 000000 00000000'.replaceAll(' ', ''), 'hex')
  const answers = [Buffer.of(1, 1), Buffer.alloc(4), serverInit]
  socket.send(Buffer.from('RFB 003.008\n'))
  socket.on('message', (data: Buffer) => {
    const next = answers.shift()
    if (next !== undefined) socket.send(next)
    else if (hasUpdateRequest(data)) socket.send(ONE_PIXEL)
  })
}

/** The client's last message of its first ones is the request for the picture. */
const hasUpdateRequest = (data: Buffer) => data.at(-10) === 3
/** A FramebufferUpdate with one rectangle in the encoding Raw. */
const ONE_PIXEL = Buffer.from('0000 0001 0000 0000 0001 0001 00000000 00000000'.replaceAll(' ', ''), 'hex')

/** A TCP server that never answers. */
export const silentServer = () => listen(createTcpServer((socket) => socket.resume()))
