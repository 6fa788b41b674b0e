/** A `fetch` over `node:https`, for clouds with a private CA. */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { SettingsError } from '../errors.ts'
import type { Fetch } from '../exchange.ts'
import { readSettingsFile } from './read-file.ts'

/** The remedy in messages that refuse to turn certificate verification off. */
export const TRUST_INSTEAD =
  "Certificates are always checked: name the cloud's authority with cacert, OS_CACERT or NODE_EXTRA_CA_CERTS."

/** The CAs, and the client certificate. */
export interface Trust {
  /** A PEM file of CAs to trust instead of the platform's. An intermediate CA is trusted without its root. */
  readonly caFile?: string | undefined
  /** The same as PEM text. Takes precedence over `caFile`. */
  readonly ca?: string | undefined
  /** A PEM file of the client certificate with its chain, for clouds that require one. */
  readonly certFile?: string | undefined
  /** A PEM file of the client certificate's private key. Default: `certFile`. */
  readonly keyFile?: string | undefined
}

/**
 * Creates a `fetch` that trusts the CAs of `caFile` or `ca`. It always verifies certificates and host names. Only for the
 * requests of this package: bodies must be strings, and redirects are not followed. `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`
 * take effect as for Node's `fetch`: with `NODE_USE_ENV_PROXY=1` or `--use-env-proxy`.
 * @throws SettingsError if a file cannot be read
 */
export function trustingFetch({ caFile, ca, certFile, keyFile = certFile }: Trust): Fetch {
  const authorities = ca === undefined ? pem('ca', caFile) : { ca }
  // Trusts an intermediate CA without its root, since the caller configured it.
  const partial = 'ca' in authorities ? { allowPartialTrustChain: true } : {}
  const tls = { ...authorities, ...partial, ...pem('cert', certFile), ...pem('key', keyFile) }
  const proxyEnv = environmentProxies()
  // Explicit, because NODE_TLS_REJECT_UNAUTHORIZED would change the default.
  const secure = new Agent({ keepAlive: true, rejectUnauthorized: true, ...tls, ...proxyEnv })
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

/** Node applies that setting only to its own agents; this agent needs the variables explicitly (since Node 24.5). */
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
