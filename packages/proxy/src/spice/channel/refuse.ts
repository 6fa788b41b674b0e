/** Answers a refused SPICE client with a protocol error, and logs the reason. */
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Refused } from '../../refused.ts'
import { SpeaksHttp } from '../wire/client-link.ts'
import { buildLinkErrorReply, buildResult, LinkFault } from '../wire/link.ts'
import { SocketEnded } from '../wire/socket-reader.ts'
import type { SpiceContext } from './context.ts'

/** Thrown for an unknown or expired ticket. The client may ask its user for another one. */
export class WrongTicket extends Error {
  override readonly name = 'WrongTicket'
}

/** Thrown when the ticket is valid but does not admit this channel now. */
export class WrongLink extends Error {
  override readonly name = 'WrongLink'
}

/** Answers a malformed link with its link error and a wrong ticket with "permission denied"; otherwise closes silently. */
export async function refuse(
  { log, metrics, settings, closing }: SpiceContext,
  socket: Socket,
  facts: { readonly client: string; readonly listener: string },
  error: unknown,
): Promise<void> {
  if (socket.destroyed || error instanceof SocketEnded) {
    log.debug({ ...facts, detail: (error as Error).message }, 'the client disconnected before its channel opened')
    return void socket.destroy()
  }
  if (error instanceof SpeaksHttp) return endWith(socket, HTTP_RESPONSE, settings.flushTimeoutMs)
  if (error instanceof LinkFault) {
    log.info({ ...facts, detail: error.message, linkError: error.linkError }, 'malformed SPICE link')
    return endWith(socket, buildLinkErrorReply(error.linkError), settings.flushTimeoutMs)
  }
  if (error instanceof WrongTicket || error instanceof WrongLink) {
    metrics.admission('unknown_token')
    log.info({ ...facts, refusal: 'unknown_token', detail: error.message }, 'refused')
    // Guessing a ticket is infeasible anyway; the delay also makes attempts expensive.
    const delayMs = error instanceof WrongTicket ? settings.wrongTicketDelayMs : 0
    await delay(delayMs, undefined, { signal: closing }).catch(() => {})
    return endWith(socket, buildResult('permission_denied'), settings.flushTimeoutMs)
  }
  const refused = error instanceof Refused ? error : undefined
  metrics.admission(refused?.refusal ?? 'draining')
  log[refused ? 'warn' : 'error'](
    { ...facts, refusal: refused?.refusal, detail: (error as Error).message, err: error },
    'refused',
  )
  socket.destroy()
}

const HTTP_RESPONSE = Buffer.from(
  'HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis port speaks SPICE, not HTTP.\n',
)

/** Sends the final bytes and closes. Discards further input, and destroys the socket if the client does not close in time. */
export function endWith(socket: Socket, bytes: Buffer, flushTimeoutMs: number): void {
  const timer = setTimeout(() => socket.destroy(), flushTimeoutMs)
  socket.once('close', () => clearTimeout(timer))
  socket.end(bytes)
  // Keep draining the socket: with unread data pending, the client's FIN is never reported. The paused-mode reader is
  // finished by now.
  socket.removeAllListeners('readable').resume()
}
