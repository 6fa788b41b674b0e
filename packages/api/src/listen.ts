/** The HTTP server under the app: limits, responses to malformed requests, and a graceful shutdown. */
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import { isIPv6, type Socket } from 'node:net'
import { getRequestListener, RequestError } from '@hono/node-server'
import { faultBody } from '@oriel/contract'
import { createWebServer, type ListenerTls, type Logger, listenOn, parseListen, type WebServer } from '@oriel/runtime'
import { TEXT } from './http/faults.ts'
import { newRequestId, requestIdFields } from './http/request-id.ts'

export interface ListenOptions {
  /** `host:port`; port 0 picks a free one. */
  readonly listen: string
  /** Default: plain HTTP. */
  readonly tls?: ListenerTls | undefined
  readonly headerTimeoutMs: number
  readonly requestTimeoutMs: number
  /** How long pending requests may take at the shutdown. */
  readonly drainMs: number
  /** Called with the status of each response that `fetch` did not give, because the request is malformed. */
  readonly onMalformed?: (status: number) => void
  readonly log: Logger
}

export interface Listener extends AsyncDisposable, Pick<WebServer, 'secure'> {
  /** The bound `host:port`. */
  readonly address: string
}

type Fetch = Parameters<typeof getRequestListener>[0]

const KEEP_ALIVE_TIMEOUT_MS = 5_000
const MAX_HEADER_BYTES = 32_768

/**
 * Serves `fetch`. Disposing of the listener stops listening, drains pending requests until the deadline, and then closes
 * their connections.
 * @throws ListenError when the address cannot be bound.
 */
export async function listen(fetch: Fetch, options: ListenOptions): Promise<Listener> {
  const underWay = new Set<ServerResponse>()
  const respond = getRequestListener(fetch, { overrideGlobalObjects: false, errorHandler: malformedResponse(options) })
  const { tls, headerTimeoutMs: handshakeTimeoutMs } = options
  const { server, secure, dropHandshakes } = createWebServer({ limits: limits(options), tls, handshakeTimeoutMs })
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    nameHost(request)
    spellHost(request)
    underWay.add(response)
    response.once('close', () => underWay.delete(response))
    void respond(request, response)
  })
  server.on('clientError', (error: ParserError, socket: Socket) => refuseRaw(error, socket, options))
  const address = await listenOn(server, parseListen(options.listen))
  return {
    ...{ address, secure },
    async [Symbol.asyncDispose]() {
      // Otherwise the connection would stay open for the keep-alive timeout after its response.
      for (const response of underWay) if (!response.headersSent) response.setHeader('Connection', 'close')
      dropHandshakes()
      await close(server, options)
    },
  }
}

const limits = ({ headerTimeoutMs, requestTimeoutMs }: ListenOptions) => ({
  headersTimeout: headerTimeoutMs,
  requestTimeout: Math.max(requestTimeoutMs, headerTimeoutMs),
  keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: MAX_HEADER_BYTES,
})

/**
 * Adds a Host to HTTP/1.0 requests, which may lack it, as health checks of load balancers do: the address they connected
 * to.
 */
function nameHost({ httpVersion, headers, socket }: IncomingMessage): void {
  if (httpVersion !== '1.0' || headers.host !== undefined) return
  const { localAddress = '', localPort } = socket
  headers.host = `${isIPv6(localAddress) ? `[${localAddress}]` : localAddress}:${localPort}`
}

/**
 * Normalises the Host as URLs do: an IPv6 address in its shortest form, and no colon without a port (which RFC 3986 section
 * 3.2.3 allows). The adapter rejects any other spelling as a forged host.
 */
function spellHost({ headers }: IncomingMessage): void {
  const [, name, port] = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d*))?$/i.exec(headers.host ?? '') ?? []
  if (name === undefined) return
  const spelt = name.startsWith('[') ? (URL.parse(`http://${name}`)?.hostname ?? name) : name
  headers.host = port ? `${spelt}:${port}` : spelt
}

/**
 * Responds to a request that the adapter rejects: with an empty Host, a Host with slashes, or a target that is not a path.
 */
function malformedResponse({ onMalformed }: ListenOptions): (error: unknown) => Response {
  return function malformedResponse(error) {
    const status = error instanceof RequestError ? 400 : 500
    onMalformed?.(status)
    const body = JSON.stringify(faultBody(status, status === 400 ? 'Malformed request' : TEXT.unexpected))
    return new Response(body, { status, headers: { 'Content-Type': 'application/json; charset=UTF-8' } })
  }
}

interface ParserError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer
}

const rawStatuses: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

// The API responds 404 to a wrong method, including methods that Node's parser does not know.
const UNKNOWN_METHOD = /^[A-Za-z]+ \S+ HTTP\/1\.[01]\r\n/

function rawStatus({ code = '', rawPacket }: ParserError): number {
  if (code === 'HPE_INVALID_METHOD' && UNKNOWN_METHOD.test(rawPacket?.toString('latin1') ?? '')) return 404
  return rawStatuses[code] ?? 400
}

/** How long a client may keep sending a request that is already refused. */
const LINGER_MS = 5_000
/** The prefix of the parser's errors; all others concern the connection or a timeout. */
const UNREADABLE = /^HPE_/

/** Writes the response to the socket itself, since Node's parser has given up on the connection. */
function refuseRaw(error: ParserError, socket: Socket, { log, onMalformed }: ListenOptions): void {
  // More of a request that is already refused. Keep draining: closing now would reset the connection, and a client that
  // still sends would lose the response.
  if (socket.writableEnded && UNREADABLE.test(error.code ?? '')) return
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  // Bytes after the last request of a connection. That request still gets its response, and then the connection closes.
  if (error.code === 'HPE_CLOSED_CONNECTION') return
  const requestId = newRequestId()
  const status = rawStatus(error)
  const body = JSON.stringify(faultBody(status, status === 404 ? TEXT.notFound : STATUS_CODES[status]!))
  onMalformed?.(status)
  log.info({ requestId, status, code: error.code }, 'malformed request')
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json; charset=UTF-8',
    ...Object.entries(requestIdFields(requestId)).map((field) => field.join(': ')),
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  const patience = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(patience))
}

async function close(server: Server, { drainMs, log }: ListenOptions): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  server.close(() => resolve())
  server.closeIdleConnections()
  const deadline = setTimeout(() => {
    log.warn({ drainMs }, 'closed the connections of requests that were still pending')
    server.closeAllConnections()
  }, drainMs)
  await closed
  clearTimeout(deadline)
}
