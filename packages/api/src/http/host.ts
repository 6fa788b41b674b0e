/** The Host header: its validation, and the base URL built from it. */
import type { ApiContext, ApiMiddleware } from './context.ts'
import { HttpFault } from './faults.ts'

const WELL_FORMED = /^(\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(:\d{0,5})?$/i

/** Refuses a Host header that is empty or not `host:port` with 400, before a link could contain it. */
export function hostHeader(): ApiMiddleware {
  return async function hostHeader(c, next) {
    const host = c.req.header('Host')
    if (host !== undefined && !WELL_FORMED.test(host)) throw new HttpFault(400, 'Malformed Host header')
    await next()
  }
}

/** The API's base URL for this caller, without a trailing slash: the configured one, or else from the Host header. */
export function publicBase(c: ApiContext, publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return publicUrl.replace(/\/+$/, '')
  const { protocol, host } = new URL(c.req.url)
  return `${protocol}//${(c.req.header('Host') ?? host).replace(/:$/, '')}`
}
