/** The HTTP server under the app: limits, malformed requests, and an orderly end. */
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import { isIPv6, type Socket } from 'node:net'
import { getRequestListener, RequestError } from '@hono/node-server'
import { faultBody } from '@oriel/contract'
import { type Logger, listenOn, parseListen } from '@oriel/runtime'
import { TEXT } from './http/faults.ts'
import { newRequestId, requestIdFields } from './http/request-id.ts'

export interface ListenOptions {
  /** `host:port`; port 0 picks a free one. */
  readonly listen: string
  readonly headerTimeoutMs: number
  readonly requestTimeoutMs: number
  /** How long requests under way may take at the end. */
  readonly drainMs: number
  readonly log: Logger
}

export interface Listener extends AsyncDisposable {
  /** The bound `host:port`. */
  readonly address: string
}

type Fetch = Parameters<typeof getRequestListener>[0]

const KEEP_ALIVE_TIMEOUT_MS = 5_000
const MAX_HEADER_BYTES = 32_768

/**
 * Serves `fetch`. Disposing of the listener stops listening, lets requests under way finish until the deadline, and then
 * cuts them off.
 * @throws ListenError when the address cannot be bound.
 */
export async function listen(fetch: Fetch, options: ListenOptions): Promise<Listener> {
  const underWay = new Set<ServerResponse>()
  const answer = getRequestListener(fetch, { overrideGlobalObjects: false, errorHandler: answerMalformed })
  const server = createServer(limits(options), (request: IncomingMessage, response: ServerResponse) => {
    nameHost(request)
    spellHost(request)
    underWay.add(response)
    response.once('close', () => underWay.delete(response))
    void answer(request, response)
  })
  server.on('clientError', (error: ParserError, socket: Socket) => refuseRaw(error, socket, options.log))
  const address = await listenOn(server, parseListen(options.listen))
  return {
    address,
    async [Symbol.asyncDispose]() {
      // So that no connection stays open for the keep-alive timeout once its answer is out.
      for (const response of underWay) if (!response.headersSent) response.setHeader('Connection', 'close')
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

/** HTTP/1.0 has no duty to name a host, and health checks of load balancers do not: the one that they reached is meant. */
function nameHost({ httpVersion, headers, socket }: IncomingMessage): void {
  if (httpVersion !== '1.0' || headers.host !== undefined) return
  const { localAddress = '', localPort } = socket
  headers.host = `${isIPv6(localAddress) ? `[${localAddress}]` : localAddress}:${localPort}`
}

/**
 * Writes the Host as URLs do: an IPv6 address in its shortest form, and no colon without a port (RFC 3986 section 3.2.3 allows
 * it). The adapter takes any other spelling for a forged host.
 */
function spellHost({ headers }: IncomingMessage): void {
  const [, name, port] = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d*))?$/i.exec(headers.host ?? '') ?? []
  if (name === undefined) return
  const spelt = name.startsWith('[') ? (URL.parse(`http://${name}`)?.hostname ?? name) : name
  headers.host = port ? `${spelt}:${port}` : spelt
}

/** A request that is HTTP and still no request: an empty Host, a Host with slashes, a target that is no path. */
function answerMalformed(error: unknown): Response {
  const status = error instanceof RequestError ? 400 : 500
  const body = JSON.stringify(faultBody(status, status === 400 ? 'Malformed request' : TEXT.unexpected))
  return new Response(body, { status, headers: { 'Content-Type': 'application/json; charset=UTF-8' } })
}

interface ParserError extends NodeJS.ErrnoException {
  readonly rawPacket?: Buffer
}

const rawStatuses: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

// A wrong method is 404 here, including methods that Node's parser does not know.
const UNKNOWN_METHOD = /^[A-Za-z]+ \S+ HTTP\/1\.[01]\r\n/

function rawStatus({ code = '', rawPacket }: ParserError): number {
  if (code === 'HPE_INVALID_METHOD' && UNKNOWN_METHOD.test(rawPacket?.toString('latin1') ?? '')) return 404
  return rawStatuses[code] ?? 400
}

/** How long a client may go on sending what is refused already. */
const LINGER_MS = 5_000
/** How the parser's own errors begin; others are of the connection, or of its time. */
const UNREADABLE = /^HPE_/

/** Node's parser gave up, so the answer is written by hand. */
function refuseRaw(error: ParserError, socket: Socket, log: Logger): void {
  // The rest of what is refused already. To close before it has come would take the answer from a client that still sends.
  if (socket.writableEnded && UNREADABLE.test(error.code ?? '')) return
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  // Bytes behind the last request of a connection: that request gets its own answer, after which the connection closes.
  if (error.code === 'HPE_CLOSED_CONNECTION') return
  const requestId = newRequestId()
  const status = rawStatus(error)
  const body = JSON.stringify(faultBody(status, status === 404 ? TEXT.notFound : STATUS_CODES[status]!))
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
    log.warn({ drainMs }, 'requests under way were cut off')
    server.closeAllConnections()
  }, drainMs)
  await closed
  clearTimeout(deadline)
}
