/** Why a session ends: the close reason of each end of the leg and of the client's connection. */
import { type CloseReasonName, closeReasons } from '@oriel/contract'
import { LegFault } from '../hypervisor/leg.ts'

/** Why a session ended, for the client and, with the detail, for the log. */
export interface Ending {
  readonly reason: CloseReasonName
  /** The sentence of the close frame. Default: the catalogue's. */
  readonly text?: string
  readonly detail?: string
  readonly cause?: unknown
  /** Whether to drop the client's connection without a close frame: bytes that wait before the frame occupy memory. */
  readonly drop?: boolean
}

/** The ending when the leg to the hypervisor ended with `cause`. */
export function endingOf(cause: Error | undefined): Ending {
  if (cause === undefined) return { reason: 'console_closed' }
  if (cause instanceof LegFault) return { reason: cause.reason, detail: cause.message, cause: cause.cause }
  return { reason: 'console_lost', detail: cause.message, cause }
}

/** The ending when the client closed with `code`. 1006 means that the connection was lost (RFC 6455 section 7.1.5). */
export function endingOfClose(code: number): Ending {
  return code === 1006 ? { reason: 'client_lost', detail: 'the connection was lost' } : { reason: 'client_closed' }
}

/**
 * The sentence for the client of a session that was taken over: it names the viewer who did so, if that viewer has a label. A
 * label that does not fit into a close frame is cut.
 */
export function takenOverText(by?: string): string {
  const { text } = closeReasons.taken_over
  return by === undefined ? text : `${cut(by, MAX_REASON_BYTES - byteLength(TOOK_OVER))}${TOOK_OVER}`
}

const TOOK_OVER = ' took this console over.'
/** A control frame has at most 125 bytes (RFC 6455 section 5.5), of which the close code takes two. */
const MAX_REASON_BYTES = 123
const byteLength = (text: string) => Buffer.byteLength(text)

/** Cuts `text` to `maxBytes` in UTF-8, between characters. */
function cut(text: string, maxBytes: number): string {
  if (byteLength(text) <= maxBytes) return text
  let kept = ''
  for (const character of text) {
    if (byteLength(`${kept}${character}…`) > maxBytes) break
    kept += character
  }
  return `${kept}…`
}

/** The ending after an error of the client's WebSocket. */
export function endingOfError(cause: Error & { code?: string }): Ending {
  const reason = wsReasons[cause.code ?? ''] ?? (cause.code?.startsWith('WS_ERR_') ? 'protocol_error' : 'client_lost')
  return { reason, detail: cause.message, cause }
}

const wsReasons: Readonly<Record<string, CloseReasonName>> = { WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 'message_too_big' }
