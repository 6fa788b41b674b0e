/** How a SPICE client hears that its connection is not served, and the log why. */
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Refused } from '../../refused.ts'
import { SpeaksHttp } from '../wire/client-link.ts'
import { buildLinkErrorReply, buildResult, LinkFault } from '../wire/link.ts'
import { SocketEnded } from '../wire/socket-reader.ts'
import type { SpiceContext } from './context.ts'

/** Unknown, or not valid any more. The client may ask its user for another one. */
export class WrongTicket extends Error {
  override readonly name = 'WrongTicket'
}

/** The ticket is right, but admits no such channel now. */
export class WrongLink extends Error {
  override readonly name = 'WrongLink'
}

/** What the client hears: link errors for what is no link, "permission denied" for the ticket, silence for all else. */
export async function refuse(
  { log, metrics, settings, closing }: SpiceContext,
  socket: Socket,
  facts: { readonly client: string; readonly listener: string },
  error: unknown,
): Promise<void> {
  if (socket.destroyed || error instanceof SocketEnded) {
    log.debug({ ...facts, detail: (error as Error).message }, 'client left before its channel opened')
    return void socket.destroy()
  }
  if (error instanceof SpeaksHttp) return endWith(socket, HTTP_ANSWER, settings.flushTimeoutMs)
  if (error instanceof LinkFault) {
    log.info({ ...facts, detail: error.message, answer: error.answer }, 'no SPICE link')
    return endWith(socket, buildLinkErrorReply(error.answer), settings.flushTimeoutMs)
  }
  if (error instanceof WrongTicket || error instanceof WrongLink) {
    metrics.admission('unknown_token')
    log.info({ ...facts, refusal: 'unknown_token', detail: error.message }, 'refused')
    // Guessing is hopeless; this keeps it from being cheap as well.
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

const HTTP_ANSWER = Buffer.from(
  'HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis port speaks SPICE, not HTTP.\n',
)

/** Sends the last word and closes. What the client still says is dropped, and one that does not close is cut off. */
export function endWith(socket: Socket, bytes: Buffer, flushTimeoutMs: number): void {
  const timer = setTimeout(() => socket.destroy(), flushTimeoutMs)
  socket.once('close', () => clearTimeout(timer))
  socket.end(bytes)
  // Unread, it would keep the client's own end from being seen. Nobody reads by hand any more.
  socket.removeAllListeners('readable').resume()
}
