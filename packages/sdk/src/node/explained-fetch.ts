/** Explains an address with the wrong scheme, for which TLS and HTTP only report a parse error. */
import { wrongScheme } from '@oriel/contract'
import type { Fetch } from '../exchange.ts'

/** The page with which a TLS server answers plain HTTP is short. */
const MAX_PAGE_BYTES = 16_384

/**
 * Wraps `fetch`. For an `http` address of a TLS server, or the reverse, it rejects with an Error that names the right
 * scheme.
 */
export function explainedFetch(fetch: Fetch): Fetch {
  return async (url, init) => {
    const response = await explained(url, fetch(url, init))
    const wrong = wrongScheme(url, { status: response.status, text: await pageOf(response) })
    if (wrong !== undefined) throw new Error(wrong)
    return response
  }
}

async function explained(url: string, response: Promise<Response>): Promise<Response> {
  try {
    return await response
  } catch (error) {
    const wrong = wrongScheme(url, { error })
    throw wrong === undefined ? error : Object.assign(new Error(wrong), { code: codeOf(error) })
  }
}

/** Reads the beginning of a 400 that is a page, from a clone of the response. */
async function pageOf(response: Response): Promise<string> {
  const isPage = response.status === 400 && !/json/i.test(response.headers.get('content-type') ?? '')
  const reader = isPage ? response.clone().body?.getReader() : undefined
  const chunks: Uint8Array[] = []
  let bytes = 0
  while (reader !== undefined && bytes < MAX_PAGE_BYTES) {
    const { done, value } = await reader.read()
    if (done) break
    chunks.push(value)
    bytes += value.byteLength
  }
  reader?.cancel().catch(() => {})
  return Buffer.concat(chunks).toString('utf8')
}

/** The code by which callers recognise a kept-alive connection that the server has closed. */
function codeOf(error: unknown): unknown {
  const { code, cause } = (error ?? {}) as { readonly code?: unknown; readonly cause?: { readonly code?: unknown } }
  return code ?? cause?.code
}
