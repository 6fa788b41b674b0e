/**
 * Judges a question to an authority that failed: how the client is refused, and whether the failure speaks of the
 * authority itself. Tenants choose the questions, so a failure that a tenant can bring about must never count against
 * the authority: its circuit breaker would then refuse everybody else.
 */

import { faultLine } from '@oriel/runtime'
import { AnswerError, BadRequest, Conflict, FaultError, NotFound } from '@oriel/sdk'
import { UnusableConnectInfo } from '../admit/authority.ts'
import type { Evidence } from '../admit/breaker.ts'
import { Refused } from '../refused.ts'
import type { Diagnose } from './diagnose.ts'

export interface Verdict {
  /** What the client hears and the log says. */
  readonly refused: Refused
  /** What the failure proves of the authority. */
  readonly evidence: Evidence
  /** Whether the authority refused the proxy's own credential, so that no console can open. */
  readonly isRefusal?: boolean
}

/** How one kind of authority is asked. */
export interface Asked {
  /** The service, as a sentence begins with it: `Nova`. */
  readonly service: string
  readonly diagnose: Diagnose
  /**
   * Whether the token has the form of those that the service mints. Any other is a client's invention, and stands in the
   * path of the request: what a router or a web application firewall makes of it proves nothing.
   */
  readonly minted: boolean
}

/** Judges why the service did not say where a token leads. */
export function judgeToken(cause: unknown, asked: Asked): Verdict {
  const { service } = asked
  if (isUnknown(cause)) return answer('unknown_token', `${service} knows no such token`, cause)
  if (isMoved(cause)) return answer('console_moved', 'the console is not where the token leads', cause)
  if (isMalformed(cause)) return answer('unknown_token', `${service} finds the token malformed`, cause)
  const unusable = unusableAnswer(cause)
  if (unusable)
    return answer('console_unreachable', `${service} names no console that can be dialled: ${unusable}`, cause)
  if (!asked.minted && isClientError(cause)) {
    return { refused: refused('unknown_token', `${service} mints no such tokens`, cause), evidence: 'none' }
  }
  const verdict = judgeService(cause, asked.diagnose, `${service} did not say what the token means`)
  return asked.minted || verdict.isRefusal ? verdict : { ...verdict, evidence: 'none' }
}

/**
 * Judges a failure that has nothing to do with what was asked for.
 * @param did the failure in the log's words, such as `Nova did not say what the token means`
 */
export function judgeService(cause: unknown, diagnose: Diagnose, did: string): Verdict {
  const limited = tooMany(cause)
  if (limited) return { refused: limited(`${did}: it wants fewer requests (429)`), evidence: 'answer' }
  const diagnosis = diagnose(cause)
  const detail = `${did}: ${faultLine(diagnosis)}`
  return { refused: refused('authority_unavailable', detail, cause), evidence: 'fault', isRefusal: diagnosis.isRefusal }
}

/** Whether the service said in its own words that there is no such thing. A 404 without them comes from something else. */
export const isUnknown = (error: unknown) => error instanceof NotFound && error.key === 'itemNotFound'

/**
 * Looks up a token that cannot exist, which proves sign-in, endpoint and role: the service alone answers 404 in its own
 * words. A 429 proves nothing against it, since other clients of the cloud may have used the limit up.
 * @throws what `lookUp` throws; an Error when there is such a token, so that something else answers at the endpoint
 */
export async function probe(lookUp: () => Promise<unknown>): Promise<void> {
  try {
    await lookUp()
  } catch (cause) {
    if (isUnknown(cause) || tooMany(cause)) return
    throw cause
  }
  throw new ImpostorError('it knows a token that cannot exist')
}

/** Another service answers in place of the one that was meant. */
export class ImpostorError extends Error {
  override readonly name = 'ImpostorError'
}

/** What is wrong with an answer that is the service's own, about this one thing alone. */
export function unusableAnswer(cause: unknown): string | undefined {
  if (cause instanceof UnusableConnectInfo) return cause.message
  // `console.host` is a member of an answer of the right kind; `console` alone would be another service's answer.
  return cause instanceof AnswerError && cause.missing?.includes('.') ? cause.message : undefined
}

const isMoved = (error: unknown): error is Conflict => error instanceof Conflict && error.key === 'conflictingRequest'
const isMalformed = (error: unknown): error is BadRequest => error instanceof BadRequest && error.key === 'badRequest'

/** Whether the service refused in its own words what was asked for, because of its state or its form. */
export const isAboutOne = (error: unknown): error is Conflict | BadRequest => isMoved(error) || isMalformed(error)

/** A status from 400 to 499, except what speaks of the caller: 401, 429, and a 403 in the service's own words. */
function isClientError(error: unknown): boolean {
  if (!(error instanceof FaultError) || error.status >= 500) return false
  return error.status !== 401 && error.status !== 429 && !(error.status === 403 && error.key !== undefined)
}

/** Makes the refusal for a service that wants fewer requests, with the time that it wants to be left alone. */
function tooMany(cause: unknown): ((detail: string) => Refused) | undefined {
  if (!(cause instanceof FaultError) || cause.status !== 429) return undefined
  const { retryAfterSeconds } = cause
  const headers = retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) }
  return (detail) => new Refused('authority_unavailable', detail, { cause, headers })
}

const answer = (name: ConstructorParameters<typeof Refused>[0], detail: string, cause: unknown): Verdict => ({
  refused: refused(name, detail, cause),
  evidence: 'answer',
})

const refused = (name: ConstructorParameters<typeof Refused>[0], detail: string, cause: unknown) =>
  new Refused(name, detail, { cause })
