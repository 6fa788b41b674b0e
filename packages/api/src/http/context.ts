/** What the steps of a request hand to each other. */
import type { IncomingMessage } from 'node:http'
import type { Microversion } from '@oriel/contract'
import type { Context, MiddlewareHandler } from 'hono'
import type { Identity } from '../auth/authenticator.ts'

export interface ApiEnv {
  Variables: {
    /** `req-` and a UUID: in the answer's headers and in every log line about the request. */
    requestId: string
    identity?: Identity
    microversion?: Microversion
  }
  /** Node's own request when a server is behind, nothing when a test calls the app. */
  Bindings: { incoming?: IncomingMessage }
}
export type ApiContext = Context<ApiEnv>
export type ApiMiddleware = MiddlewareHandler<ApiEnv>

/** The request line's target, byte for byte if Node has it: a WHATWG URL would already have resolved dot segments. */
export function rawTarget(url: string, incoming?: { url?: string | undefined }): string {
  const target = incoming?.url ?? url
  return target.startsWith('/') ? target : target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '')
}

/** The query string as sent, without its question mark. */
export function rawQuery(c: ApiContext): string {
  const target = rawTarget(c.req.url, c.env?.incoming)
  const mark = target.indexOf('?')
  return mark < 0 ? '' : target.slice(mark + 1)
}
