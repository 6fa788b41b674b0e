/** Request bodies: how long they may be, how they are read, and JSON. */
import type { ApiContext, ApiMiddleware } from './context.ts'
import { HttpFault, malformedBody } from './faults.ts'

/** As in Nova's shipped pipeline. */
export const MAX_BODY_BYTES = 114_688
/** Deeper than any body that this API takes, and shallow enough for every walk over it. */
const MAX_JSON_DEPTH = 500
const BODYLESS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** Refuses a body that says it is too long, before anything else is looked at. Bodies without a length count as read. */
export function bodyLimit(limitOf: (path: string) => number = () => MAX_BODY_BYTES): ApiMiddleware {
  return async function bodyLimit(c, next) {
    const maxBytes = limitOf(c.req.path)
    if (Number(c.req.header('Content-Length') ?? 0) > maxBytes) throw tooLarge(maxBytes)
    await next()
  }
}

/**
 * The request's body, chunked or not.
 * @throws HttpFault 413 beyond the limit, 400 if the client breaks off.
 */
export async function readBody(c: ApiContext, maxBytes = MAX_BODY_BYTES): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of bodyOf(c)) {
    size += chunk.byteLength
    if (size > maxBytes) throw tooLarge(maxBytes)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/**
 * JSON in UTF-8, by the letter: no byte order mark, no NaN.
 * @throws HttpFault 400.
 */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    if (isTooDeep(text)) throw new RangeError(`nested deeper than ${MAX_JSON_DEPTH}`)
    return JSON.parse(text)
  } catch (error) {
    throw malformedBody(error)
  }
}

async function* bodyOf(c: ApiContext): AsyncIterable<Uint8Array> {
  if (BODYLESS.has(c.req.method) || c.req.raw.body === null) return
  try {
    yield* c.req.raw.body as ReadableStream<Uint8Array>
  } catch (error) {
    throw malformedBody(error)
  }
}

const tooLarge = (maxBytes: number) =>
  new HttpFault(413, `Request is too large. Larger than max_request_body_size (${maxBytes}).`)

function isTooDeep(text: string): boolean {
  let depth = 0
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"?|[[{]|[\]}]/gs)) {
    if (token === '[' || token === '{') depth += 1
    else if (token === ']' || token === '}') depth -= 1
    if (depth > MAX_JSON_DEPTH) return true
  }
  return false
}
