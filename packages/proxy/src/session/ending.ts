/** Why a session ends: the close reason of each end of the leg and of the client's connection. */
import type { CloseReasonName } from '@oriel/contract'
import { LegFault } from '../hypervisor/leg.ts'

/** Why a session ended, for the client and, with the detail, for the log. */
export interface Ending {
  readonly reason: CloseReasonName
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

/** The ending after an error of the client's WebSocket. */
export function endingOfError(cause: Error & { code?: string }): Ending {
  const reason = wsReasons[cause.code ?? ''] ?? (cause.code?.startsWith('WS_ERR_') ? 'protocol_error' : 'client_lost')
  return { reason, detail: cause.message, cause }
}

const wsReasons: Readonly<Record<string, CloseReasonName>> = { WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 'message_too_big' }
