/** Turns errors into responses: `{ "<key>": { "code", "message" } }` at every microversion. */
import { faultBody } from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import { AuthUnavailable, Unauthenticated } from '../auth/authenticator.ts'
import { StoreUnavailable } from '../database/unavailable.ts'
import { Forbidden } from '../policy/forbidden.ts'
import { SourceUnavailable } from '../sources/errors.ts'
import type { ApiContext } from './context.ts'

/** An error with an HTTP status. Its message reaches the client. */
export class HttpFault extends Error {
  override readonly name = 'HttpFault'
  readonly status: ContentfulStatusCode
  readonly headers: Readonly<Record<string, string>>
  /** A body to use instead of Nova's fault. */
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

/** Nova's texts that are common to many causes. */
export const TEXT = {
  notFound: 'The resource could not be found.',
  badRequest: 'The server could not comply with the request since it is either malformed or otherwise incorrect.',
  malformedBody: 'Malformed request body',
  unexpected: 'Unexpected API Error. Please contact the administrator',
  unauthorized: 'The request you have made requires authentication.',
} as const

export const notFound = () => new HttpFault(404, TEXT.notFound)
export const malformedBody = (cause?: unknown) => new HttpFault(400, TEXT.malformedBody, { cause })

/** `Retry-After` while a part of the API is unavailable. */
const RETRY_AFTER_SECONDS = 5

/** Hono's error handler: turns every error into a fault, and logs unexpected errors with their cause. */
export function errorHandler({ wwwAuthenticate, log }: { wwwAuthenticate: string; log: Logger }) {
  return (error: unknown, c: ApiContext): Response => {
    if (c.req.raw.signal.aborted) return faultResponse(c, clientClosed())
    const fault = toFault(error, wwwAuthenticate)
    const fields = { requestId: c.get('requestId'), err: error }
    if (fault.status >= 500 && fault.status !== 501) log.error(fields, 'request failed')
    else if (fault.cause !== undefined || !isPlainRefusal(error)) log.debug(fields, 'request refused')
    return faultResponse(c, fault)
  }
}

/** Whether the response already contains everything that the log could. */
const isPlainRefusal = (error: unknown) => error instanceof HttpFault || error instanceof Forbidden

/** Builds the response for a fault. */
export function faultResponse(c: ApiContext, fault: HttpFault): Response {
  for (const [name, value] of Object.entries(fault.headers)) c.header(name, value)
  c.header('Content-Type', fault.body ? 'application/json' : 'application/json; charset=UTF-8')
  return c.body(JSON.stringify(fault.body ?? faultBody(fault.status, fault.message)), fault.status)
}

function toFault(error: unknown, wwwAuthenticate: string): HttpFault {
  if (error instanceof HttpFault) return error
  if (error instanceof Forbidden) return new HttpFault(403, error.message)
  if (error instanceof Unauthenticated) return unauthorized(wwwAuthenticate)
  if (error instanceof AuthUnavailable)
    return unavailable('The identity service does not answer.', error.retryAfterSeconds)
  if (error instanceof StoreUnavailable) return unavailable('The store of console tokens does not answer.')
  if (error instanceof SourceUnavailable) return unavailable('The hypervisor does not answer.')
  return new HttpFault(500, TEXT.unexpected, { cause: error })
}

// The body of Keystone's middleware, which authenticates requests in front of Nova.
function unauthorized(wwwAuthenticate: string): HttpFault {
  const body = { error: { code: 401, title: 'Unauthorized', message: TEXT.unauthorized } }
  return new HttpFault(401, TEXT.unauthorized, { body, headers: { 'WWW-Authenticate': wwwAuthenticate } })
}

/** Only for the request log, since the client has disconnected. It must not count as an error of the API. */
const clientClosed = () => new HttpFault(CLIENT_CLOSED_REQUEST, 'The client has disconnected.')
/** nginx's status for a client that closed the connection. */
const CLIENT_CLOSED_REQUEST = 499 as ContentfulStatusCode

const unavailable = (what: string, retryAfterSeconds = RETRY_AFTER_SECONDS) =>
  new HttpFault(503, `${what} Try again in a moment.`, { headers: { 'Retry-After': String(retryAfterSeconds) } })
