/** The one place where errors become answers: `{ "<key>": { "code", "message" } }` at every microversion. */
import { faultBody } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { AuthUnavailable, Unauthenticated } from '../auth/authenticator.ts'
import { StoreUnavailable } from '../database/unavailable.ts'
import { Forbidden } from '../policy/forbidden.ts'
import { SourceUnavailable } from '../sources/errors.ts'
import type { ApiContext } from './context.ts'

/** Thrown anywhere below the app; the message reaches the client. */
export class HttpFault extends Error {
  override readonly name = 'HttpFault'
  readonly status: ContentfulStatusCode
  readonly headers: Readonly<Record<string, string>>
  /** In place of Nova's fault shape. */
  readonly body: object | undefined

  constructor(status: ContentfulStatusCode, message: string, options: FaultOptions = {}) {
    super(message, options)
    this.status = status
    this.headers = options.headers ?? {}
    this.body = options.body
  }
}

export interface FaultOptions extends ErrorOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: object
}

/** The general texts that Nova shares among many causes. */
export const TEXT = {
  notFound: 'The resource could not be found.',
  badRequest: 'The server could not comply with the request since it is either malformed or otherwise incorrect.',
  malformedBody: 'Malformed request body',
  unexpected: 'Unexpected API Error. Please contact the administrator',
  unauthorized: 'The request you have made requires authentication.',
} as const

export const notFound = () => new HttpFault(404, TEXT.notFound)
export const malformedBody = (cause?: unknown) => new HttpFault(400, TEXT.malformedBody, { cause })

/** How long clients are asked to wait when a part of the API is away. */
const RETRY_AFTER_SECONDS = 5

/** Hono's error handler: every error becomes a fault, and the unforeseen ones a line in the log with their cause. */
export function answerErrors({ wwwAuthenticate, log }: { wwwAuthenticate: string; log: Logger }) {
  return (error: unknown, c: ApiContext): Response => {
    if (c.req.raw.signal.aborted) return answerFault(c, gaveUp())
    const fault = toFault(error, wwwAuthenticate)
    const fields = { requestId: c.get('requestId'), err: error }
    if (fault.status >= 500 && fault.status !== 501) log.error(fields, 'request failed')
    else if (fault.cause !== undefined || !isPlainRefusal(error)) log.debug(fields, 'request refused')
    return answerFault(c, fault)
  }
}

/** Whether the answer says everything that the log could say. */
const isPlainRefusal = (error: unknown) => error instanceof HttpFault || error instanceof Forbidden

/** The answer that a fault becomes. */
export function answerFault(c: ApiContext, fault: HttpFault): Response {
  for (const [name, value] of Object.entries(fault.headers)) c.header(name, value)
  c.header('Content-Type', fault.body ? 'application/json' : 'application/json; charset=UTF-8')
  return c.body(JSON.stringify(fault.body ?? faultBody(fault.status, fault.message)), fault.status)
}

function toFault(error: unknown, wwwAuthenticate: string): HttpFault {
  if (error instanceof HttpFault) return error
  if (error instanceof Forbidden) return new HttpFault(403, error.message)
  if (error instanceof Unauthenticated) return unauthorized(wwwAuthenticate)
  if (error instanceof AuthUnavailable) return away('The identity service does not answer.', error.retryAfterSeconds)
  if (error instanceof StoreUnavailable) return away('The store of console tokens does not answer.')
  if (error instanceof SourceUnavailable) return away('The hypervisor does not answer.')
  return new HttpFault(500, TEXT.unexpected, { cause: error })
}

// The shape of Keystone's middleware, which stands before Nova and answers for it.
function unauthorized(wwwAuthenticate: string): HttpFault {
  const body = { error: { code: 401, title: 'Unauthorized', message: TEXT.unauthorized } }
  return new HttpFault(401, TEXT.unauthorized, { body, headers: { 'WWW-Authenticate': wwwAuthenticate } })
}

/** For the log alone, because the client has disconnected: this must not count as an error of the API. */
const gaveUp = () => new HttpFault(CLIENT_CLOSED_REQUEST, 'The client has gone.')
/** As nginx calls it. */
const CLIENT_CLOSED_REQUEST = 499 as ContentfulStatusCode

const away = (what: string, retryAfterSeconds = RETRY_AFTER_SECONDS) =>
  new HttpFault(503, `${what} Try again in a moment.`, { headers: { 'Retry-After': String(retryAfterSeconds) } })
