/** A `fetch` over `node:https` for clouds whose certificates are signed by an own authority. */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { SettingsError } from '../errors.ts'
import type { Fetch } from '../exchange.ts'
import { readSettingsFile } from './read-file.ts'

/** What to do in place of switching certificate checks off, for the messages that refuse to. */
export const TRUST_INSTEAD =
  "Certificates are always checked: name the cloud's authority with cacert, OS_CACERT or NODE_EXTRA_CA_CERTS."

/** PEM files, and PEM text. */
export interface Trust {
  /** Certificate authorities, trusted in place of the platform's. An intermediate one needs no root beside it. */
  readonly caFile?: string | undefined
  /** The same as text; wins over `caFile`. */
  readonly ca?: string | undefined
  /** Client certificate, with its chain, for clouds that ask for one. */
  readonly certFile?: string | undefined
  /** Private key of the client certificate. Default: `certFile` holds it too. */
  readonly keyFile?: string | undefined
}

/**
 * A `fetch` that trusts the authorities of `caFile` or `ca`. Certificates and host names are always checked. It is made for the
 * requests of this package: bodies are strings, redirects are not followed. `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`
 * take effect as for Node's own `fetch`: with `NODE_USE_ENV_PROXY=1` or `--use-env-proxy`.
 * @throws SettingsError if a file cannot be read
 */
export function trustingFetch({ caFile, ca, certFile, keyFile = certFile }: Trust): Fetch {
  const authorities = ca === undefined ? pem('ca', caFile) : { ca }
  // An intermediate CA is trusted without its root: the caller named it.
  const partial = 'ca' in authorities ? { allowPartialTrustChain: true } : {}
  const tls = { ...authorities, ...partial, ...pem('cert', certFile), ...pem('key', keyFile) }
  const proxyEnv = environmentProxies()
  const secure = new Agent({ keepAlive: true, ...tls, ...proxyEnv })
  const plain = new HttpAgent({ keepAlive: true, ...proxyEnv })
  return (url, init) => {
    const { promise, resolve, reject } = Promise.withResolvers<Response>()
    const { method = 'GET', headers, body, signal } = init
    const options = { method, headers: Object.fromEntries(new Headers(headers)), ...(signal && { signal }) }
    const request = url.startsWith('https:')
      ? httpsRequest(url, { ...options, agent: secure })
      : httpRequest(url, { ...options, agent: plain })
    request.once('response', (message) => resolve(responseOf(message))).once('error', reject)
    request.end(typeof body === 'string' ? body : undefined)
    return promise
  }
}

/** Node applies its switch only to its own agents; this one takes the variables explicitly (since Node 24.5). */
function environmentProxies(): { readonly proxyEnv?: NodeJS.ProcessEnv } {
  const { NODE_USE_ENV_PROXY, NODE_OPTIONS = '' } = process.env
  const isAsked = [...process.execArgv, ...NODE_OPTIONS.split(/\s+/)].includes('--use-env-proxy')
  return NODE_USE_ENV_PROXY === '1' || isAsked ? { proxyEnv: process.env } : {}
}

function responseOf(message: IncomingMessage): Response {
  const status = message.statusCode!
  const headers = Object.entries(message.headersDistinct).flatMap(([name, values = []]) =>
    values.map((value): [string, string] => [name, value]),
  )
  const empty = [204, 205, 304].includes(status) // `Response` refuses these with a body
  if (empty) message.resume()
  return new Response(empty ? null : (Readable.toWeb(message) as ReadableStream<Uint8Array>), { status, headers })
}

function pem(name: 'ca' | 'cert' | 'key', file: string | undefined): object {
  if (file === undefined) return {}
  try {
    return { [name]: readSettingsFile(file) }
  } catch (cause) {
    if (cause instanceof SettingsError) throw cause
    throw new SettingsError(`The ${name} file ${file} cannot be read`, { cause })
  }
}
