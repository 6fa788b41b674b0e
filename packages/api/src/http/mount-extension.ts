/** Mounts Oriel's extension: the same steps of a request as for Nova's API, without microversions. */
import {
  EXTENSION_PATH,
  type ExtensionBody,
  type ExtensionResponse,
  type ExtensionRoute,
  type ExtensionRouteName,
  type ExtensionRoutes,
  extensionRoutes,
  LATEST,
  project,
} from '@oriel/contract'
import type { Logger } from '@oriel/runtime'
import type { Hono } from 'hono'
import type { Identity } from '../auth/authenticator.ts'
import { enforce } from '../policy/enforce.ts'
import type { Policy } from '../policy/rules.ts'
import { MAX_BODY_BYTES, parseJson, readBody } from './body.ts'
import { type ApiContext, type ApiEnv, rawQuery } from './context.ts'
import { contentType } from './media-type.ts'
import { exactMethod, sourceDeadline } from './mount.ts'
import { parseQuery } from './query.ts'
import { validation } from './validate.ts'

/** The input of a handler. Policy has allowed the call, and body and query are valid. */
export interface ExtensionCall<Name extends ExtensionRouteName = ExtensionRouteName> {
  readonly params: Readonly<Record<string, string>>
  readonly body: ExtensionBody<Name>
  readonly query: ReadonlyMap<string, string>
  readonly headers: Headers
  readonly identity: Identity
  /** Aborts when the client disconnects or the source's deadline passes. */
  readonly signal: AbortSignal
  /** Adds the request id to every line. */
  readonly log: Logger
}

/** The result of a route without a response body: whether a proxy has still to act (202) or not (204). */
export interface Done {
  readonly pending: boolean
}
/** The result of a route whose response is not JSON. */
export interface Media {
  readonly contentType: string
  readonly bytes: Uint8Array<ArrayBuffer>
}
type Result<Name extends ExtensionRouteName> = ExtensionRoutes[Name] extends { readonly media: unknown }
  ? Media
  : ExtensionResponse<Name> extends null
    ? Done
    : ExtensionResponse<Name>

/** The handlers by route of the extension. */
export type ExtensionOperations = {
  readonly [Name in ExtensionRouteName]: (call: ExtensionCall<Name>) => Promise<Result<Name>>
}

export interface ExtensionOptions {
  readonly operations: ExtensionOperations
  readonly policy: Policy
  readonly sourceTimeoutMs: number
  readonly log: Logger
}

/**
 * A proxy reports up to a hundred thousand sessions in one request. Only callers who may admit sessions can send so much.
 */
export const MAX_BEAT_BYTES = 32 * 1024 * 1024

/** Mounts every route of the extension. */
export function mountExtension(app: Hono<ApiEnv>, options: ExtensionOptions): void {
  const validate = validation()
  for (const [name, route] of Object.entries<ExtensionRoute>(extensionRoutes)) {
    const path = `${EXTENSION_PATH}${route.path.replace(/\{(\w+)\}/g, ':$1')}`
    const { method } = route
    app.on(method, path, exactMethod(method), contentType(), (c) =>
      respond(c, name as ExtensionRouteName, options, validate),
    )
  }
}

async function respond(
  c: ApiContext,
  name: ExtensionRouteName,
  options: ExtensionOptions,
  validate: ReturnType<typeof validation>,
): Promise<Response> {
  const route: ExtensionRoute = extensionRoutes[name]
  enforce(options.policy, extensionRoutes[name].policy, c.get('identity')!)
  const query = parseQuery(rawQuery(c))
  if (route.query) validate(route.query, LATEST, Object.fromEntries(query))
  const body = route.body && (await bodyFor(c, name))
  if (route.body) validate(route.body, LATEST, body)
  const operation = options.operations[name] as (call: ExtensionCall<never>) => Promise<object>
  using limit = sourceDeadline(c, options.sourceTimeoutMs)
  const response = await operation({ ...callOf(c, options), body: body as never, query, signal: limit.signal })
  if (isMedia(response)) return c.body(response.bytes, 200, { 'Content-Type': response.contentType, ...NOT_STORED })
  if ('pending' in response) return c.body(null, response.pending ? 202 : 204)
  return c.body(JSON.stringify(project(route.response, response)), 200, { 'Content-Type': 'application/json' })
}

const isMedia = (response: object): response is Media => 'contentType' in response
const NOT_STORED = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' }

async function bodyFor(c: ApiContext, name: ExtensionRouteName): Promise<unknown> {
  const bytes = await readBody(c, name === 'beat' ? MAX_BEAT_BYTES : MAX_BODY_BYTES)
  return bytes.length === 0 ? null : parseJson(bytes)
}

/** The members of a call that do not depend on its route. */
const callOf = (c: ApiContext, { log }: ExtensionOptions) => ({
  params: c.req.param() as Record<string, string>,
  headers: c.req.raw.headers,
  identity: c.get('identity')!,
  log: log.child({ requestId: c.get('requestId') }),
})
