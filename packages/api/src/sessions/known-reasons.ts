/** The close reasons and refusals that a proxy knows, which it lists in a header of some requests. */
import { type CloseReasonName, type KnownReason, REASONS_HEADER, SWITCHED_OFF_FAULT } from '@oriel/contract'
import { HttpFault } from '../http/faults.ts'

/** Whether the proxy that sent `headers` knows `reason`. */
export const knows = (headers: Headers, reason: KnownReason): boolean =>
  (headers.get(REASONS_HEADER) ?? '').split(',').some((known) => known.trim() === reason)

/** Returns `reason`, or for a proxy that would ignore it, the reason before it was known. */
export function knownReason(headers: Headers, reason: CloseReasonName): CloseReasonName {
  return reason === 'switched_off' && !knows(headers, reason) ? 'console_closed' : reason
}

const SWITCHED_OFF = 'The server is switched off.'

/** Refuses to admit a session until the server is on again. Only for proxies that know `switched_off`. */
export const switchedOff = () =>
  new HttpFault(409, SWITCHED_OFF, { body: { [SWITCHED_OFF_FAULT]: { code: 409, message: SWITCHED_OFF } } })
