/** HTTP exchanges over `fetch`, with a deadline, a size limit, no redirects, and errors without addresses. */
import { type Deadline, within } from './deadline.ts'
import { AnswerError, ConnectionError, circumstances, faultOf, masked, type Reply } from './errors.ts'

/** The part of the platform's `fetch` that the client uses, so that callers can replace it. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** The settings of exchanges, with all defaults filled in. */
export interface Transport {
  readonly fetch: Fetch
  readonly maxResponseBytes: number
  readonly userAgent: string | undefined
}

/** The settings of exchanges. */
export interface TransportOptions {
  /** Replaces the platform's `fetch`. */
  readonly fetch?: Fetch | undefined
  /** Deadline of a call, sign-in included, in milliseconds. Default: 30,000. */
  readonly timeoutMs?: number | undefined
  /** The largest response, in bytes. Default: 8 MiB. */
  readonly maxResponseBytes?: number | undefined
  /** The `User-Agent`, which browsers ignore. Default: the platform's. */
  readonly userAgent?: string | undefined
}

export interface Request {
  readonly operation: string
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: unknown
  readonly secrets: readonly string[]
}

export const DEFAULT_TIMEOUT_MS = 30_000

/** Fills in the defaults. Looks the platform's `fetch` up at each call, since pages may replace it. */
export const transport = ({ fetch, maxResponseBytes, userAgent }: TransportOptions): Transport => ({
  fetch: fetch ?? ((url, init) => globalThis.fetch(url, init)),
  maxResponseBytes: maxResponseBytes ?? 8 * 1024 * 1024,
  userAgent,
})

/**
 * Sends `request` and returns the response, whatever its status.
 * @throws ConnectionError if it fails, AnswerError for a response that is too long or a redirect, the caller's abort reason
 */
export async function exchange(via: Transport, request: Request, limit: Deadline): Promise<Reply> {
  const { origin } = new URL(request.url)
  const response = await within(limit, origin, reach(origin, request, send(via, request, limit)))
  const base = { operation: request.operation, secrets: request.secrets }
  const reply = { ...base, status: response.status, headers: response.headers, chunks: [], text: '' }
  if (leadsElsewhere(response)) throw new AnswerError('the API answered with a redirect', circumstances(reply))
  const reading = reach(origin, request, readBody(response, via.maxResponseBytes, reply))
  const chunks = await within(limit, origin, reading)
  return { ...reply, chunks, text: textOf(chunks) }
}

/** Returns the body of a response as it was sent. */
export const blobOf = ({ chunks, headers }: Reply): Blob =>
  new Blob(chunks, { type: headers.get('Content-Type') ?? '' })

// Not by `Blob.text()`, which takes Node about 15 µs more for a short response.
function textOf(chunks: Reply['chunks']): string {
  const decoder = new TextDecoder()
  return chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join('') + decoder.decode()
}

/**
 * Returns the JSON of a 2xx response.
 * @throws FaultError for a status of 400 or more, AnswerError for other statuses and if the body is not JSON
 */
export function jsonOf(reply: Reply): unknown {
  if (reply.status >= 400) throw faultOf(reply)
  if (reply.status < 200 || reply.status > 299) {
    throw new AnswerError(`the API answered ${reply.status}`, circumstances(reply))
  }
  try {
    return JSON.parse(reply.text)
  } catch {
    // The parser's message quotes the response, which may contain a token.
    const found = /^\s*</.test(reply.text) ? ' but a page' : ''
    throw new AnswerError(`the answer is not JSON${found}`, circumstances(reply))
  }
}

/** Retries an idempotent request once, since the server may close a kept-alive connection just when it is used again. */
async function send(via: Transport, request: Request, limit: Deadline): Promise<Response> {
  const ask = () => via.fetch(request.url, init(via, request, limit))
  if (request.method !== 'GET') return ask()
  try {
    return await ask()
  } catch (error) {
    if (limit.signal.aborted || !wasClosed(error)) throw error
    return ask()
  }
}

/** Node's `fetch` has the code in its cause, Bun's in the error itself. Browsers retry by themselves. */
const wasClosed = (error: unknown): boolean => {
  const { code, cause } = error as Partial<NodeFault>
  return CLOSED.has(code ?? (cause as Partial<NodeFault> | undefined)?.code ?? '')
}
const CLOSED = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

function init({ userAgent }: Transport, { method, headers, body }: Request, { signal }: Deadline): RequestInit {
  return {
    method,
    signal,
    redirect: 'manual', // a redirect could send the token to another host
    headers: {
      Accept: 'application/json',
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
      ...(userAgent !== undefined && { 'User-Agent': userAgent }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  }
}

// Browsers return a redirect that is not followed as status 0.
const leadsElsewhere = ({ status, type }: Response) =>
  type === 'opaqueredirect' || [301, 302, 303, 307, 308].includes(status)

async function reach<T>(origin: string, request: Request, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof AnswerError) throw error
    const cause = withoutAddress(error, request)
    throw new ConnectionError('network', `${origin} cannot be reached: ${reasonOf(cause)}`, { cause })
  }
}

const reasonOf = (error: Error): string => (error.cause instanceof Error ? reasonOf(error.cause) : error.message)

// Deno's and Bun's errors contain the full address, and with it the console auth token.
function withoutAddress(error: unknown, request: Request, depth = 0): Error {
  const { name = 'Error', message = String(error), code, cause } = (error ?? {}) as Partial<NodeFault>
  const { origin } = new URL(request.url)
  const copy = new Error(masked(message.replaceAll(request.url, origin), request.secrets))
  const more = cause !== undefined && depth < 4 ? { cause: withoutAddress(cause, request, depth + 1) } : {}
  return Object.assign(copy, { name, ...(code !== undefined && { code }), ...more })
}
type NodeFault = Error & { readonly code: string }

async function readBody(response: Response, maxBytes: number, reply: Reply): Promise<Reply['chunks']> {
  const reader = response.body?.getReader()
  const chunks: Reply['chunks'][number][] = []
  let bytes = 0
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true as const, value: undefined }
    if (done || reader === undefined) return chunks
    bytes += value.byteLength
    if (bytes > maxBytes) {
      reader.cancel().catch(() => {})
      throw new AnswerError(`the answer is longer than ${maxBytes} bytes`, circumstances(reply))
    }
    chunks.push(value)
  }
}
