/** Media types: which bodies are accepted, and the content type of the response. */
import { SERVICE_TYPE } from '@oriel/contract'
import type { ApiContext, ApiMiddleware } from './context.ts'
import { HttpFault } from './faults.ts'

export const JSON_TYPE = 'application/json'
const VENDOR_TYPE = `application/vnd.openstack.${SERVICE_TYPE}+json`
/** Includes `text/plain`, which some clients send by default. */
const TAKEN = new Set([JSON_TYPE, VENDOR_TYPE, 'text/plain', ''])

/** Refuses bodies other than JSON with 415, even for routes without a body, as Nova does. */
export function contentType(): ApiMiddleware {
  return async function contentType(c, next) {
    checkContentType(c)
    await next()
  }
}

/** Whether the request declares its body as JSON. */
export const isJson = (c: ApiContext): boolean => [JSON_TYPE, VENDOR_TYPE].includes(mediaTypeOf(c))

/** @throws HttpFault 415. */
export function checkContentType(c: ApiContext): void {
  if (!TAKEN.has(mediaTypeOf(c))) throw new HttpFault(415, 'Unsupported Content-Type')
}

/**
 * The media type of the body. The first of several header lines counts: Node's request only keeps that one, while a `Request`
 * joins them with commas. A single line that contains a comma is an unknown type, as in Nova.
 */
function mediaTypeOf(c: ApiContext): string {
  const line = c.env?.incoming?.headers?.['content-type'] ?? c.req.header('Content-Type') ?? ''
  return line.split(';', 1)[0]!.trim().toLowerCase()
}

/**
 * The response's media type: the vendor's JSON type if the client prefers it, else plain JSON whatever `Accept` contains.
 */
export function acceptedType(c: ApiContext): string {
  const ranges = (c.req.header('Accept') ?? '').split(',').map(parseRange)
  return quality(VENDOR_TYPE, ranges) > quality(JSON_TYPE, ranges) ? VENDOR_TYPE : JSON_TYPE
}

/** Whether a media type in `Accept` or `Content-Type` has this parameter, such as `version=2.1`. */
export function hasParameter(c: ApiContext, name: string, value: string): boolean {
  const headers = [c.req.header('Content-Type'), c.req.header('Accept')]
  const parameters = headers.flatMap((header) => (header ?? '').split(/[;,]/).slice(1))
  return parameters.some((parameter) => parameter.replace(/[\s"]/g, '') === `${name}=${value}`)
}

interface Range {
  readonly type: string
  readonly q: number
}

function parseRange(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const q = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
  return { type, q: Number.isNaN(q) ? 0 : q }
}

function quality(type: string, ranges: readonly Range[]): number {
  const wildcards = [type, `${type.split('/')[0]}/*`, '*/*']
  const found = wildcards.flatMap((name) => ranges.filter((range) => range.type === name))
  return found[0]?.q ?? 0
}
