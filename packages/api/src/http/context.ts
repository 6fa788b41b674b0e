/** The values that the steps of a request pass on to later ones. */
import type { IncomingMessage } from 'node:http'
import type { Microversion } from '@oriel/contract'
import type { Context, MiddlewareHandler } from 'hono'
import type { Identity } from '../auth/authenticator.ts'

export interface ApiEnv {
  Variables: {
    /** `req-` and a UUID, for the response's headers and for every log line about the request. */
    requestId: string
    identity?: Identity
    microversion?: Microversion
  }
  /** Node's request. Absent if a test calls the app without a server. */
  Bindings: { incoming?: IncomingMessage }
}
export type ApiContext = Context<ApiEnv>
export type ApiMiddleware = MiddlewareHandler<ApiEnv>

/** The target of the request line, unchanged if Node has it: a WHATWG URL would already have resolved dot segments. */
export function rawTarget(url: string, incoming?: { url?: string | undefined }): string {
  const target = incoming?.url ?? url
  return target.startsWith('/') ? target : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '')
}

/** The unparsed query string, without its question mark. */
export function rawQuery(c: ApiContext): string {
  const target = rawTarget(c.req.url, c.env?.incoming)
  const mark = target.indexOf('?')
  return mark < 0 ? '' : target.slice(mark + 1)
}
