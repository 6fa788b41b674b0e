/**
 * Sends JSON to an identity service over HTTP, with a configurable CA, for which `fetch` has no option. Always verifies
 * certificates, and ignores variables such as HTTPS_PROXY or NODE_TLS_REJECT_UNAUTHORIZED.
 */

import { type IncomingHttpHeaders, type IncomingMessage, Agent as PlainAgent, request as plainRequest } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { wrongScheme } from '@oriel/contract'

export interface JsonRequest {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. Default: no body. */
  readonly body?: unknown
  /** The deadline, from connecting to the last byte of the response. */
  readonly signal: AbortSignal
}

export interface JsonResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** `undefined` if the response is not JSON. */
  readonly body: unknown
}

export interface JsonClient extends Disposable {
  /** Sends a request. Does not follow redirects. @throws the system's error, or the signal's reason. */
  ask(url: string, request: JsonRequest): Promise<JsonResponse>
}

/** Responses have a few kilobytes. A longer one does not come from an identity service. */
export const maxResponseBytes = 1024 * 1024
const maxConnections = 64

/**
 * Opens a connection for each request, so that none is sent on one that the peer just closed. Requests are few, due to
 * caching.
 */
export function jsonClient(options: { readonly ca?: string | undefined } = {}): JsonClient {
  // Trusts an intermediate CA without its root, since the operator configured it.
  const ca = options.ca === undefined ? {} : { ca: options.ca, allowPartialTrustChain: true }
  const plain = new PlainAgent({ maxSockets: maxConnections })
  const tls = new TlsAgent({ maxSockets: maxConnections, rejectUnauthorized: true, ...ca })
  return {
    async ask(url, { method = 'GET', headers = {}, body, signal }) {
      const payload = body === undefined ? undefined : JSON.stringify(body)
      const sent = { method, headers: { ...headersFor(payload), ...headers }, signal }
      const secure = new URL(url).protocol === 'https:'
      const request = secure ? tlsRequest(url, { ...sent, agent: tls }) : plainRequest(url, { ...sent, agent: plain })
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
      request.on('response', resolve).on('error', reject).end(payload)
      try {
        return await readResponse(url, await reached(url, promise))
      } catch (cause) {
        throw signal.aborted ? signal.reason : cause
      } finally {
        request.destroy()
      }
    },
    [Symbol.dispose]() {
      plain.destroy()
      tls.destroy()
    },
  }
}

/** Names the scheme to write; TLS itself reports only a parse error. */
async function reached(url: string, response: Promise<IncomingMessage>): Promise<IncomingMessage> {
  try {
    return await response
  } catch (cause) {
    const wrong = wrongScheme(url, { error: cause })
    throw wrong === undefined ? cause : new Error(wrong, { cause })
  }
}

function headersFor(payload: string | undefined): Record<string, string> {
  const accept = { Accept: 'application/json', 'User-Agent': 'oriel-api' }
  if (payload === undefined) return accept
  return { ...accept, 'Content-Type': 'application/json', 'Content-Length': String(Buffer.byteLength(payload)) }
}

async function readResponse(url: string, response: IncomingMessage): Promise<JsonResponse> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxResponseBytes) throw new Error(`The answer is longer than ${maxResponseBytes} bytes`)
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8')
  const { statusCode: status = 0, headers } = response
  const wrong = wrongScheme(url, { status, text })
  if (wrong !== undefined) throw new Error(wrong)
  return { status, headers, body: parsed(text) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
