/** Request bodies: their size limit, and JSON. */
import type { ApiContext, ApiMiddleware } from './context.ts'
import { HttpFault, malformedBody } from './faults.ts'

/** The limit of Nova's default pipeline. */
export const MAX_BODY_BYTES = 114_688
/** More than any valid body has, and few enough for recursive functions. */
const MAX_JSON_DEPTH = 500
const BODYLESS = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** Refuses a body by its declared length, before all other checks. A body without a length is measured while it is read. */
export function bodyLimit(limitOf: (path: string) => number = () => MAX_BODY_BYTES): ApiMiddleware {
  return async function bodyLimit(c, next) {
    const maxBytes = limitOf(c.req.path)
    if (Number(c.req.header('Content-Length') ?? 0) > maxBytes) throw tooLarge(maxBytes)
    await next()
  }
}

/**
 * Reads the request's body, chunked or not.
 * @throws HttpFault 413 for a body over the limit, 400 if the client disconnects
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
 * Parses JSON in UTF-8 strictly, without a byte order mark or NaN.
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
