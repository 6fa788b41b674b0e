/**
 * The catalogue of WebSocket close codes and sentences. The proxy sends them, the pages and the SDK read them, and a test
 * compares `docs/close-reasons.md` with this file.
 */
import type { CloseReason } from './close-reason.ts'
import { readRefusal } from './refusals.ts'

export const closeReasons = {
  client_closed: { code: 1000, text: 'You closed the console.', remedy: 'none' },
  console_closed: { code: 1000, text: 'The machine closed the console.', remedy: 'reconnect' },
  draining: { code: 1001, text: 'The console proxy is restarting.', remedy: 'reconnect' },
  protocol_error: { code: 1002, text: 'The client did not follow the protocol of this console.', remedy: 'none' },
  message_too_big: { code: 1009, text: 'The client sent more at once than a console takes.', remedy: 'none' },
  proxy_error: { code: 1011, text: 'The console proxy failed. Its log says why.', remedy: 'reconnect' },
  console_lost: { code: 4000, text: 'The connection to the machine broke.', remedy: 'reconnect' },
  security_failed: {
    code: 4001,
    text: 'The machine and the console proxy could not agree on security.',
    remedy: 'none',
  },
  client_lost: { code: 4002, text: 'Your connection stopped answering.', remedy: 'reconnect' },
  client_stalled: { code: 4003, text: 'Your connection was too slow to follow the console.', remedy: 'reconnect' },
  idle: { code: 4004, text: 'The console was idle for too long.', remedy: 'reconnect' },
  time_limit: { code: 4005, text: 'The console was open for as long as it may be.', remedy: 'new-console' },
  token_expired: { code: 4006, text: 'The permission to use this console has expired.', remedy: 'new-console' },
  revoked: { code: 4007, text: 'The permission to use this console was withdrawn.', remedy: 'new-console' },
  ended: { code: 4008, text: 'An operator ended this session.', remedy: 'new-console' },
  wrong_instance: { code: 4009, text: 'Another machine answered in place of yours.', remedy: 'new-console' },
  taken_over: { code: 4010, text: 'Another client took this console over.', remedy: 'none' },
  moved: { code: 4011, text: 'The machine moved to another host.', remedy: 'reconnect' },
  switched_off: { code: 4012, text: 'The machine is switched off.', remedy: 'reconnect' },
} as const satisfies Record<string, CloseReason>

/** The name of a close reason, as in the log and the audit trail. */
export type CloseReasonName = keyof typeof closeReasons

/**
 * Interprets a close event's code and reason. Returns `undefined` for a code that Oriel does not use. The sentence of a
 * refusal comes from the server: show it as text, never as markup.
 */
export function closeReason(code: number, text?: string): CloseReason | undefined {
  const sameCode = Object.values<CloseReason>(closeReasons).filter((reason) => reason.code === code)
  return sameCode.find((reason) => reason.text === text) ?? sameCode[0] ?? readRefusal(code, text)
}
