/**
 * The errors of calls. Their messages are fit for logs and people: they contain no token, no password, and no path or query of
 * an address.
 */
import { type faultKeys, readFault } from '@oriel/contract'

/** The base class of this package's errors. */
export class OrielError extends Error {
  override readonly name: string = 'OrielError'
}

/** Thrown if the network failed or the deadline passed. `cause` is the platform's error without the address. */
export class ConnectionError extends OrielError {
  override readonly name: string = 'ConnectionError'
  /** `timeout` if the deadline passed first. */
  readonly reason: 'network' | 'timeout'
  constructor(reason: 'network' | 'timeout', message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/** Thrown if this client, or the console type, has no microversion in common with the API. */
export class VersionError extends OrielError {
  override readonly name: string = 'VersionError'
}

/** Thrown for incomplete or unsupported settings. */
export class SettingsError extends OrielError {
  override readonly name: string = 'SettingsError'
}

interface Circumstances {
  /** HTTP status. */
  readonly status: number
  /** The name of the route, such as `createRemoteConsole`, or `signIn` for Keystone. */
  readonly operation: string
  /** `req-<uuid>`, with which operators can find the request in their logs. */
  readonly requestId: string | undefined
}

interface UnusableAnswer extends Circumstances {
  readonly missing?: string | undefined
}

/** Thrown for an unusable response: not JSON, too large, a redirect, of another microversion, or with a member missing. */
export class AnswerError extends OrielError implements Circumstances {
  override readonly name: string = 'AnswerError'
  readonly status: number
  readonly operation: string
  readonly requestId: string | undefined
  /** Path of the first member that is missing or has the wrong type, such as `console.host`, if that is the cause. */
  readonly missing: string | undefined
  constructor(message: string, { status, operation, requestId, missing }: UnusableAnswer, options?: ErrorOptions) {
    super(`${operation}: ${message}`, options)
    this.missing = missing
    this.status = status
    this.operation = operation
    this.requestId = requestId
  }
}

interface FaultDetails extends Circumstances {
  readonly key: string | undefined
  readonly retryAfterSeconds: number | undefined
}

/** Thrown when the API returns a fault, with its `message` for people. Common statuses have subclasses. */
export class FaultError extends OrielError implements FaultDetails {
  override readonly name: string = 'FaultError'
  readonly status: number
  readonly operation: string
  readonly requestId: string | undefined
  /** The fault's key, such as `itemNotFound`. `undefined` if the response contains no fault. */
  readonly key: string | undefined
  /** Seconds to wait before a retry, from `Retry-After`. */
  readonly retryAfterSeconds: number | undefined
  constructor(message: string, { status, operation, requestId, key, retryAfterSeconds }: FaultDetails) {
    super(message)
    this.status = status
    this.operation = operation
    this.requestId = requestId
    this.key = key
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** 400 */
export class BadRequest extends FaultError {
  override readonly name: string = 'BadRequest'
}
/** 401: the token is missing, invalid or expired, or Keystone refused the credentials. */
export class Unauthorized extends FaultError {
  override readonly name: string = 'Unauthorized'
}
/** 403 */
export class Forbidden extends FaultError {
  override readonly name: string = 'Forbidden'
}
/** 404: the server, token or route does not exist. */
export class NotFound extends FaultError {
  override readonly name: string = 'NotFound'
}
/** 405 */
export class MethodNotAllowed extends FaultError {
  override readonly name: string = 'MethodNotAllowed'
}
/** 406: the API does not serve this microversion. */
export class NotAcceptable extends FaultError {
  override readonly name: string = 'NotAcceptable'
}
/** 409: the server is not in a state to have a console, such as not yet built or stopped. */
export class Conflict extends FaultError {
  override readonly name: string = 'Conflict'
}
/** 413 */
export class TooLarge extends FaultError {
  override readonly name: string = 'TooLarge'
}
/** 415 */
export class UnsupportedMediaType extends FaultError {
  override readonly name: string = 'UnsupportedMediaType'
}
/** 429: see `retryAfterSeconds`. */
export class TooManyRequests extends FaultError {
  override readonly name: string = 'TooManyRequests'
}
/** 500 and above: the API or a proxy in front of it failed. */
export class ServerFault extends FaultError {
  override readonly name: string = 'ServerFault'
}
/** 501: the hypervisor has no console of this type. */
export class NotImplemented extends ServerFault {
  override readonly name: string = 'NotImplemented'
}
/** 503: see `retryAfterSeconds`. */
export class ServiceUnavailable extends ServerFault {
  override readonly name: string = 'ServiceUnavailable'
}

const classes = {
  400: BadRequest,
  401: Unauthorized,
  403: Forbidden,
  404: NotFound,
  405: MethodNotAllowed,
  406: NotAcceptable,
  409: Conflict,
  413: TooLarge,
  415: UnsupportedMediaType,
  429: TooManyRequests,
  501: NotImplemented,
  503: ServiceUnavailable,
} as const satisfies Record<keyof typeof faultKeys | 406, typeof FaultError>

/** A response, and the request's operation and secrets. */
export interface Reply {
  readonly operation: string
  readonly status: number
  readonly headers: Headers
  /** The body. */
  readonly chunks: Uint8Array<ArrayBuffer>[]
  /** The body, decoded as UTF-8. */
  readonly text: string
  /** Values of the request that must not appear in a message. */
  readonly secrets: readonly string[]
}

/** Returns the error for a response with a status of 400 or more. */
export function faultOf(reply: Reply): FaultError {
  const fault = readFault(parsed(reply.text))
  const message = masked(plain(fault?.detail.message ?? ''), reply.secrets)
  return new (classFor(reply.status))(message || `${reply.operation}: the API answered ${reply.status}`, {
    ...circumstances(reply),
    key: fault?.key,
    retryAfterSeconds: retryAfterSeconds(reply.headers.get('retry-after')),
  })
}

/** Returns the status, operation and request id of a response. */
export const circumstances = ({ status, operation, headers }: Reply): Circumstances => ({
  status,
  operation,
  requestId: headers.get('x-openstack-request-id') ?? headers.get('x-compute-request-id') ?? undefined,
})

/** Masks each of `secrets` in `text`, except for those so short that they are part of ordinary words. */
export const masked = (text: string, secrets: readonly string[]) =>
  secrets.reduce((rest, secret) => (secret.length < 4 ? rest : rest.replaceAll(secret, '***')), text)

function classFor(status: number): typeof FaultError {
  const known = (classes as Readonly<Record<number, typeof FaultError>>)[status]
  return known ?? (status >= 500 ? ServerFault : FaultError)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

// Removes markup and line breaks, which WebOb's pages contain.
const plain = (message: string) =>
  message
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()

function retryAfterSeconds(header: string | null): number | undefined {
  if (header === null) return undefined
  if (/^\d+$/.test(header.trim())) return Number(header)
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - Date.now()) / 1000))
}
