/** HTTP requests of the checks: without redirects, with a deadline and a limit for the body. */
import type { Cloud } from '../cloud/sign-in.ts'
import { withoutToken } from './mask.ts'

/** A response, and when it came. */
export interface Reply {
  readonly status: number
  readonly headers: Headers
  /** The beginning of the body. */
  readonly text: string
  /** The server's clock minus this machine's, in milliseconds. `undefined` without a Date header. */
  readonly skewMs: number | undefined
}

/** The pages of consoles are smaller. */
const MAX_BODY_BYTES = 262_144

/** Fetches a URL. @throws the error of `fetch`, without the address; the signal's reason */
export async function get(url: string, { fetch, timeoutMs }: Cloud, signal: AbortSignal): Promise<Reply> {
  const until = AbortSignal.any([AbortSignal.timeout(timeoutMs), signal])
  const sentAtMs = Date.now()
  try {
    const headers = { Accept: '*/*', 'User-Agent': 'oriel-cli' }
    const response = await fetch(url, { redirect: 'manual', signal: until, headers })
    const skewMs = skewOf(response.headers, (sentAtMs + Date.now()) / 2)
    return { status: response.status, headers: response.headers, text: await beginningOf(response), skewMs }
  } catch (error) {
    signal.throwIfAborted()
    throw until.aborted ? until.reason : withoutToken(error, url)
  }
}

/** The Date header has whole seconds, so that it is half a second late on average. */
function skewOf(headers: Headers, nowMs: number): number | undefined {
  const date = Date.parse(headers.get('date') ?? '')
  const ageMs = Number(headers.get('age') ?? 0) * 1000
  return Number.isNaN(date) ? undefined : date + 500 + ageMs - nowMs
}

async function beginningOf({ body }: Response): Promise<string> {
  const reader = body?.getReader()
  const chunks: Uint8Array[] = []
  let bytes = 0
  while (reader !== undefined && bytes < MAX_BODY_BYTES) {
    const { done, value } = await reader.read()
    if (done) break
    chunks.push(value)
    bytes += value.byteLength
  }
  reader?.cancel().catch(() => {})
  return Buffer.concat(chunks).toString('utf8')
}

/** Returns the title of a page in quotes, or `undefined`. */
export function titleOf(html: string): string | undefined {
  const [, title = ''] = /<title[^>]*>([^<]*)<\/title>/i.exec(html) ?? []
  const line = title.replace(/\s+/g, ' ').trim().slice(0, 60)
  return line === '' ? undefined : `"${line}"`
}

/** Returns the address in the header Location, without its query, or `undefined` without a well-formed one. */
export function locationOf(headers: Headers, base: string): string | undefined {
  const text = headers.get('location')
  if (text === null || !URL.canParse(text, base)) return undefined
  const { origin, pathname } = new URL(text, base)
  return `${origin}${pathname}`
}

/** Returns the sentence of a fault, Nova's or Oriel's, or `undefined`. */
export function faultText(text: string): string | undefined {
  const [fault] = Object.values(jsonObject(text) ?? {}) as { readonly message?: unknown }[]
  return typeof fault?.message === 'string' ? fault.message : undefined
}

/** Parses an object. Returns `undefined` for anything else. */
export function jsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = JSON.parse(text) as unknown
    return value instanceof Object && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
