/** The Host header: what it may look like, and the base URL made of it. */
import type { ApiContext, ApiMiddleware } from './context.ts'
import { HttpFault } from './faults.ts'

const WELL_FORMED = /^(\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(:\d{0,5})?$/i

/** Refuses a Host header that is empty or no `host:port` with 400, before it can end up in a link. */
export function hostHeader(): ApiMiddleware {
  return async function hostHeader(c, next) {
    const host = c.req.header('Host')
    if (host !== undefined && !WELL_FORMED.test(host)) throw new HttpFault(400, 'Malformed Host header')
    await next()
  }
}

/** Where the API stands for this caller, without a slash at its end: as configured, or else as the caller named it. */
export function publicBase(c: ApiContext, publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return publicUrl.replace(/\/+$/, '')
  const { protocol, host } = new URL(c.req.url)
  return `${protocol}//${(c.req.header('Host') ?? host).replace(/:$/, '')}`
}
