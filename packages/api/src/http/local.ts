/**
 * Guards an API without credentials. It listens on loopback only, yet a browser on this machine shows pages of any site: by
 * DNS rebinding such a page reaches loopback under its own name, and any page can send a blind `text/plain` POST. The Host
 * and Origin headers distinguish them from programs and pages of this machine.
 */
import { isLocalHost, isLocalOrigin } from '@oriel/runtime'
import type { ApiContext, ApiMiddleware } from './context.ts'
import { HttpFault } from './faults.ts'
import { isJson } from './media-type.ts'

export interface LocalOptions {
  /** The API's configured public URL. */
  readonly publicUrl: string | undefined
  /** The configured origins whose pages may call the API. */
  readonly origins: readonly string[]
}

const FOREIGN_HOST =
  'This API asks for no credentials, so it serves only this machine: use http://localhost or http://127.0.0.1, or configure auth.method.'
const FOREIGN_ORIGIN =
  'This API asks for no credentials, so pages of other hosts may not use it: name their origin in cors.allowed_origins, or configure auth.method.'
const NOT_JSON = 'This API asks for no credentials, so a body needs the header Content-Type: application/json.'

/** Refuses a body that is not declared as JSON with 415, and a foreign Host or Origin with 403. */
export function onlyLocal({ publicUrl, origins }: LocalOptions): ApiMiddleware {
  const base = publicUrl === undefined ? null : URL.parse(publicUrl)
  const allowed = new Set([...origins, ...(base ? [base.origin] : [])])
  return async function onlyLocal(c, next) {
    if (hasBody(c) && !isJson(c)) throw new HttpFault(415, NOT_JSON)
    const host = c.req.header('Host')
    if (host !== undefined && !isLocalHost(host) && host.toLowerCase() !== base?.host) {
      throw new HttpFault(403, FOREIGN_HOST)
    }
    const origin = c.req.header('Origin')
    if (origin !== undefined && !isLocalOrigin(origin) && !allowed.has(origin)) throw new HttpFault(403, FOREIGN_ORIGIN)
    await next()
  }
}

/** RFC 9112 section 6: one of the two headers announces a body. */
const hasBody = (c: ApiContext) =>
  c.req.header('Transfer-Encoding') !== undefined || Number(c.req.header('Content-Length') ?? 0) > 0
