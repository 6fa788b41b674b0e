/** What is compared with a recording, and only that: everything else in an answer is free. */
import type { Headers, VectorResponse } from './vectors.ts'

/** What an answer must be. `undefined` means that it must not be there; `'free'` that anything will do. */
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
  /** Whether the two request-id headers are there; they must then be equal. */
  readonly requestIds: boolean | 'free'
  readonly wwwAuthenticate: string | undefined
  /** Whether `Retry-After` is there. */
  readonly retryAfter: boolean | 'free'
  readonly body: ExpectedBody
}

export type ExpectedBody =
  /** The whole document; strings may hold placeholders. */
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'fault'; readonly key: string; readonly code: number; readonly message: ExpectedMessage }
  /** A page negotiated by `Accept`, with its sentence. Oriel has none: a decision must replace it. */
  | { readonly kind: 'page'; readonly sentence: string }
  /** A server document, which the recording abbreviates: that of the server asked for. */
  | { readonly kind: 'server' }
  | { readonly kind: 'empty' }

/** The exact message, or what it must and must not contain. */
export type ExpectedMessage = string | { readonly says: readonly string[]; readonly never: readonly RegExp[] }

/** What the recording says. */
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

/** The media type without parameters, comparable. */
export const mediaTypeOf = (contentType: string | undefined) => contentType?.replace(/;.*/s, '').trim().toLowerCase()

/** The names in lines of `Vary`, comparable. */
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

// An Accept that names an odd type makes Nova label its JSON so; the recording then holds the text.
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
