/** A `fetch` whose errors say that an address has the wrong scheme, where TLS and HTTP report only a parse error. */
import { wrongScheme } from '@oriel/contract'
import type { Fetch } from '../exchange.ts'

/** The page with which a TLS server answers plain HTTP is short. */
const MAX_PAGE_BYTES = 16_384

/** Wraps `fetch`: an `http` address of a TLS server, or the reverse, rejects with an Error that says which scheme to write. */
export function explainedFetch(fetch: Fetch): Fetch {
  return async (url, init) => {
    const response = await explained(url, fetch(url, init))
    const wrong = wrongScheme(url, { status: response.status, text: await pageOf(response) })
    if (wrong !== undefined) throw new Error(wrong)
    return response
  }
}

async function explained(url: string, answer: Promise<Response>): Promise<Response> {
  try {
    return await answer
  } catch (error) {
    const wrong = wrongScheme(url, { error })
    throw wrong === undefined ? error : Object.assign(new Error(wrong), { code: codeOf(error) })
  }
}

/** Reads the beginning of a 400 that is a page. The answer itself can still be read. */
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
  reader?.cancel().catch(() => {}) // the rest is not needed
  return Buffer.concat(chunks).toString('utf8')
}

/** The code by which callers recognise a kept connection that the server has closed. */
function codeOf(error: unknown): unknown {
  const { code, cause } = (error ?? {}) as { readonly code?: unknown; readonly cause?: { readonly code?: unknown } }
  return code ?? cause?.code
}
