/**
 * Judges a failed request to an authority: how to refuse the client, and whether the authority itself is at fault. Tenants
 * choose the tokens, so a failure that a tenant can cause must never count against the authority: its circuit breaker
 * would then refuse all other tenants.
 */

import { SWITCHED_OFF_FAULT } from '@oriel/contract'
import { faultLine } from '@oriel/runtime'
import { AnswerError, BadRequest, Conflict, FaultError, NotFound } from '@oriel/sdk'
import { Refused } from '../refused.ts'
import { ImpostorError, UnusableConnectInfo } from './authority.ts'
import type { Evidence } from './breaker.ts'
import type { Diagnose } from './diagnose.ts'

export interface Verdict {
  /** The refusal for the client and the log. */
  readonly refused: Refused
  /** What the failure proves about the authority. */
  readonly evidence: Evidence
  /** Whether the authority refused the proxy's own credential, so that no console can open. */
  readonly isRefusal?: boolean
}

/** The context of a token look-up. */
export interface TokenLookUp {
  /** The service's name at the beginning of a sentence: `Nova`. */
  readonly service: string
  readonly diagnose: Diagnose
  /**
   * Whether the token has the form of those that the service mints. A client invented any other, which is part of the
   * request's path, so an answer may come from a router or a web application firewall and proves nothing.
   */
  readonly minted: boolean
}

/** Judges a failed token look-up. */
export function judgeToken(cause: unknown, lookUp: TokenLookUp): Verdict {
  const { service } = lookUp
  if (isUnknown(cause)) return refusedByService('unknown_token', `${service} knows no such token`, cause)
  // Without the cause, which would make a warning of each attempt of a page that waits.
  if (isSwitchedOff(cause))
    return { refused: new Refused('switched_off', 'the machine is switched off'), evidence: 'answer' }
  if (isMoved(cause)) return refusedByService('console_moved', "the console has moved from the token's address", cause)
  if (isMalformed(cause)) return refusedByService('unknown_token', `${service} rejects the token as malformed`, cause)
  const unusable = unusableAnswer(cause)
  if (unusable)
    return refusedByService(
      'console_unreachable',
      `${service} returned a console that cannot be dialled: ${unusable}`,
      cause,
    )
  if (!lookUp.minted && isClientError(cause)) {
    return {
      refused: refused('unknown_token', `the token does not have the form of ${service}'s tokens`, cause),
      evidence: 'none',
    }
  }
  const verdict = judgeService(cause, lookUp.diagnose, `${service} did not resolve the token`)
  return lookUp.minted || verdict.isRefusal ? verdict : { ...verdict, evidence: 'none' }
}

/**
 * Judges a failure that does not depend on the token or server in the request.
 * @param did the failure in the log's words, such as `Nova did not resolve the token`
 */
export function judgeService(cause: unknown, diagnose: Diagnose, did: string): Verdict {
  const limited = tooMany(cause)
  if (limited) return { refused: limited(`${did}: it received too many requests (429)`), evidence: 'answer' }
  const diagnosis = diagnose(cause)
  const detail = `${did}: ${faultLine(diagnosis)}`
  return { refused: refused('authority_unavailable', detail, cause), evidence: 'fault', isRefusal: diagnosis.isRefusal }
}

/** Whether the service answered its own `itemNotFound`. A 404 without that comes from something else. */
export const isUnknown = (error: unknown) => error instanceof NotFound && error.key === 'itemNotFound'

/**
 * Looks up a token that cannot exist, which tests sign-in, endpoint and role: only the service answers with its own 404. A
 * 429 passes, since other clients of the cloud may have used up the limit.
 * @throws the error of `lookUp`; ImpostorError if the token exists, because another service answers at the endpoint
 */
export async function probe(lookUp: () => Promise<unknown>): Promise<void> {
  try {
    await lookUp()
  } catch (cause) {
    if (isUnknown(cause) || tooMany(cause)) return
    throw cause
  }
  throw new ImpostorError('the service accepts a token that cannot exist')
}

/** Returns the fault in an answer of the service itself about this one console or server. */
export function unusableAnswer(cause: unknown): string | undefined {
  if (cause instanceof UnusableConnectInfo) return cause.message
  // If only `console.host` is missing, the answer is the service's; without `console` it came from another service.
  return cause instanceof AnswerError && cause.missing?.includes('.') ? cause.message : undefined
}

const isMoved = (error: unknown): error is Conflict => error instanceof Conflict && error.key === 'conflictingRequest'
const isSwitchedOff = (error: unknown) => error instanceof Conflict && error.key === SWITCHED_OFF_FAULT
const isMalformed = (error: unknown): error is BadRequest => error instanceof BadRequest && error.key === 'badRequest'

/** Whether the service refused this one request with its own fault, because of the server's state or the request's form. */
export const isAboutOne = (error: unknown): error is Conflict | BadRequest => isMoved(error) || isMalformed(error)

/** A status from 400 to 499, except those about the caller: 401, 429, and a 403 with the service's own fault. */
function isClientError(error: unknown): boolean {
  if (!(error instanceof FaultError) || error.status >= 500) return false
  return error.status !== 401 && error.status !== 429 && !(error.status === 403 && error.key !== undefined)
}

/** Makes the refusal for a service that answered 429, with its `Retry-After`. */
function tooMany(cause: unknown): ((detail: string) => Refused) | undefined {
  if (!(cause instanceof FaultError) || cause.status !== 429) return undefined
  const { retryAfterSeconds } = cause
  const headers = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) }
  return (detail) => new Refused('authority_unavailable', detail, { cause, headers })
}

const refusedByService = (name: ConstructorParameters<typeof Refused>[0], detail: string, cause: unknown): Verdict => ({
  refused: refused(name, detail, cause),
  evidence: 'answer',
})

const refused = (name: ConstructorParameters<typeof Refused>[0], detail: string, cause: unknown) =>
  new Refused(name, detail, { cause })
