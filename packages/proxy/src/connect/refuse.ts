/**
 * Refuses an Upgrade: with a status and a JSON fault, or, for a client that offers `oriel.refusals`, with a WebSocket that
 * closes at once, because a browser shows a page only the close event.
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { type ConsoleRole, faultBody, REFUSALS_SUBPROTOCOL, refusalClose, refusal as refusalOf } from '@oriel/contract'
import { WebSocketServer } from 'ws'
import type { Refused } from '../refused.ts'
import { offersRefusals } from './upgrade.ts'

/** An Upgrade as `node:http` hands it over. */
export interface UpgradeRequest {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
}

/** How long the client may take to read the answer, and to answer a close frame. */
const FLUSH_TIMEOUT_MS = 2_000

/**
 * Sends the refusal and closes. The client gets the catalogue's sentence, never the exact cause.
 * @param role of the session, if it is known: one that watches cannot take a console over
 */
export function refuse(upgrade: UpgradeRequest, refused: Refused, role?: ConsoleRole): void {
  const { request, socket } = upgrade
  if (socket.destroyed) return
  const timer = setTimeout(() => socket.destroy(), FLUSH_TIMEOUT_MS)
  socket.once('close', () => clearTimeout(timer))
  // A WebSocket server may be unable to accept a bad request.
  if (refused.refusal !== 'bad_request' && offersRefusals(request)) closeWebSocket(upgrade, refused, role)
  else sendStatus(socket, refused)
}

function sendStatus(socket: Duplex, { refusal, headers }: Refused): void {
  const { status, text, retryAfterSeconds } = refusalOf(refusal)
  const retry = retryAfterSeconds === undefined ? undefined : { 'Retry-After': String(retryAfterSeconds) }
  socket.once('finish', () => socket.destroy())
  // Read and drop what else the client sent: unread bytes would turn the close into a reset.
  socket.resume()
  socket.end(httpResponse(status, { ...retry, ...headers }, JSON.stringify(faultBody(status, text))))
}

/** Accepts the WebSocket only to close it. Messages of the client are dropped, and refused above 125 bytes. */
function closeWebSocket(
  { request, socket, head }: UpgradeRequest,
  { refusal, headers, allow, by }: Refused,
  role: ConsoleRole | undefined,
): void {
  const seconds = Number.parseInt(headers['Retry-After'] ?? '', 10)
  const retryAfterSeconds = Number.isNaN(seconds) ? undefined : seconds
  const { code, reason } = refusalClose(refusal, { allow, by, retryAfterSeconds, watches: role === 'watch' })
  refuser.handleUpgrade(request, socket, head, (client) => {
    client.on('error', ignoreError)
    client.close(code, reason)
  })
}

const refuser = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
  autoPong: false,
  maxPayload: 125,
  handleProtocols: () => REFUSALS_SUBPROTOCOL,
})

/** Ignores errors: without a listener, a client that violates the protocol would end the process. */
const ignoreError = () => {}

function httpResponse(status: number, headers: Readonly<Record<string, string>>, body: string): string {
  const lines = Object.entries({
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    Connection: 'close',
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`
}
