/** Answers an Upgrade that is not granted: a status and a JSON fault, written on the bare socket. */
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { faultBody, refusal as refusalOf } from '@oriel/contract'
import type { Refused } from '../refused.ts'

/** How long the client may take to read the answer. */
const FLUSH_TIMEOUT_MS = 2_000

/** Sends the refusal and closes. The client hears the catalogue's sentence, never the exact cause. */
export function refuse(socket: Duplex, { refusal, headers }: Refused): void {
  if (socket.destroyed) return
  const { status, text, retryAfterSeconds } = refusalOf(refusal)
  const retry = retryAfterSeconds === undefined ? undefined : { 'Retry-After': String(retryAfterSeconds) }
  const timer = setTimeout(() => socket.destroy(), FLUSH_TIMEOUT_MS)
  socket.once('close', () => clearTimeout(timer))
  socket.once('finish', () => socket.destroy())
  // Whatever else the client sent is read and dropped: unread bytes would turn the close into a reset.
  socket.resume()
  socket.end(httpAnswer(status, { ...retry, ...headers }, JSON.stringify(faultBody(status, text))))
}

function httpAnswer(status: number, headers: Readonly<Record<string, string>>, body: string): string {
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
