/** Faults: the API's error body, `{ "<key>": { "code": <status>, "message": "<text>" } }`, at every microversion. */
import * as Type from 'typebox'

/** The keys of faults by HTTP status. Every other status is a `computeFault` (Nova rule 1.2). */
export const faultKeys = {
  400: 'badRequest',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'itemNotFound',
  405: 'badMethod',
  409: 'conflictingRequest',
  413: 'overLimit',
  415: 'badMediaType',
  429: 'overLimit',
  501: 'notImplemented',
  503: 'serviceUnavailable',
} as const satisfies Record<number, string>

/** Keys for statuses that the proxy sends and Nova does not. */
const proxyFaultKeys = { 421: 'misdirectedRequest' } as const satisfies Record<number, string>

type ValueOf<T> = T[keyof T]
/** The key of a fault with this HTTP status. */
export type FaultKey = ValueOf<typeof faultKeys> | ValueOf<typeof proxyFaultKeys> | 'computeFault'
/** The content of a fault: the HTTP status, and a sentence for people. */
export interface FaultDetail {
  readonly code: number
  readonly message: string
}
export type FaultBody = { readonly [K in FaultKey]?: FaultDetail }

/** Returns the key of a fault with `status`. */
export const faultKey = (status: number): FaultKey =>
  (({ ...faultKeys, ...proxyFaultKeys }) as Readonly<Record<number, FaultKey>>)[status] ?? 'computeFault'

/** Builds the body of a fault. */
export const faultBody = (status: number, message: string): FaultBody => ({
  [faultKey(status)]: { code: status, message },
})

/**
 * Reads the fault in a response body: Nova's, Keystone's `{ "error": … }`, or WebOb's `{ "message", "code" }`. Returns
 * `undefined` for any other body.
 */
export function readFault(body: unknown): { key: string; detail: FaultDetail } | undefined {
  if (typeof body !== 'object' || body === null) return undefined
  for (const [key, value] of Object.entries(body)) {
    if (isDetail(value)) return { key, detail: { code: Number(value.code), message: value.message } }
  }
  return isDetail(body)
    ? { key: 'error', detail: { code: Number.parseInt(String(body.code), 10), message: body.message } }
    : undefined
}

const isDetail = (value: unknown): value is { code: number | string; message: string } =>
  typeof value === 'object' &&
  value !== null &&
  'code' in value &&
  /^(number|string)$/.test(typeof value.code) &&
  'message' in value &&
  typeof value.message === 'string'

const detail = (status: number) =>
  Type.Object({ code: Type.Literal(status), message: Type.String() }, { additionalProperties: false })

/** Returns the schema of a fault with `status`. */
export const faultSchema = (status: number) =>
  Type.Object({ [faultKey(status)]: detail(status) }, { additionalProperties: false })
