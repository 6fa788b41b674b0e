/** The parts of a response that are compared with a recording. All other parts are ignored. */
import type { Headers, VectorResponse } from './vectors.ts'

/** The expected response. `undefined` means absent, and `'free'` that the value is ignored. */
export interface Expectation {
  readonly status: number
  /** The media type without parameters. */
  readonly mediaType: string | undefined
  /** `OpenStack-API-Version`. */
  readonly standardVersion: string | undefined
  /** `X-OpenStack-Nova-API-Version`. */
  readonly legacyVersion: string | undefined
  /** The names in `Vary`, in lower case, sorted. */
  readonly vary: readonly string[]
  /** Whether the two request-id headers are present. They must be equal. */
  readonly requestIds: boolean | 'free'
  readonly wwwAuthenticate: string | undefined
  /** Whether `Retry-After` is present. */
  readonly retryAfter: boolean | 'free'
  readonly body: ExpectedBody
}

export type ExpectedBody =
  /** The whole document; strings may contain placeholders. */
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'fault'; readonly key: string; readonly code: number; readonly message: ExpectedMessage }
  /** A page negotiated by `Accept`, with its sentence. Oriel has none: a decision must replace it. */
  | { readonly kind: 'page'; readonly sentence: string }
  /** The document of the requested server, which the recording abbreviates. */
  | { readonly kind: 'server' }
  | { readonly kind: 'empty' }

/** The exact message, or the parts that it must and must not contain. */
export type ExpectedMessage = string | { readonly says: readonly string[]; readonly never: readonly RegExp[] }

/** Converts a recorded response to an expectation. */
export function expectationOf(response: VectorResponse): Expectation {
  const { status, headers } = response
  return {
    status,
    mediaType: mediaTypeOf(one(headers, 'content-type')),
    standardVersion: one(headers, 'openstack-api-version'),
    legacyVersion: one(headers, 'x-openstack-nova-api-version'),
    vary: varyNames(all(headers, 'vary')),
    requestIds: one(headers, 'x-compute-request-id') !== undefined,
    wwwAuthenticate: status === 401 ? one(headers, 'www-authenticate') : undefined,
    retryAfter: 'free',
    body: bodyOf(response),
  }
}

/** The media type without parameters, normalised for comparison. */
export const mediaTypeOf = (contentType: string | undefined) => contentType?.replace(/;.*/s, '').trim().toLowerCase()

/** The names in lines of `Vary`, normalised for comparison. */
export const varyNames = (lines: readonly string[]) =>
  lines
    .flatMap((line) => line.split(','))
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '')
    .sort()

function bodyOf({ status, body }: VectorResponse): ExpectedBody {
  if (body === null) return { kind: 'empty' }
  if (body === '(a server document)') return { kind: 'server' }
  const isSuccess = status >= 200 && status < 400
  if (typeof body === 'string') return isSuccess ? jsonUnderOtherName(body) : { kind: 'page', sentence: sentence(body) }
  const page = body as { title?: unknown; message?: unknown }
  if (!isSuccess && typeof page.title === 'string') return { kind: 'page', sentence: sentence(String(page.message)) }
  return isSuccess ? { kind: 'json', value: body } : faultOf(body as FaultLike)
}

type FaultLike = Readonly<Record<string, { readonly code: number; readonly message: string }>>

function faultOf(body: FaultLike): ExpectedBody {
  const [[key, { code, message }]] = Object.entries(body) as [[string, FaultLike[string]]]
  return { kind: 'fault', key, code, message: message! }
}

// For an Accept with another type, Nova labels its JSON with that type, and the recording contains the text.
const jsonUnderOtherName = (text: string): ExpectedBody => ({ kind: 'json', value: JSON.parse(text) })

const sentences = [/The resource could not be found\./, /Request is too large\.[^<\n]*/]

function sentence(page: string): string {
  for (const pattern of sentences) {
    const found = pattern.exec(page)
    if (found) return found[0].trim()
  }
  return page.trim()
}

function all(headers: Headers, name: string): readonly string[] {
  const found = Object.entries(headers).find(([other]) => other.toLowerCase() === name)
  return found === undefined ? [] : [found[1]].flat()
}

const one = (headers: Headers, name: string) => all(headers, name)[0]
