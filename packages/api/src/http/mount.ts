/** Mounts Nova's routes, with the steps of a request in Nova's order. */
import { alive, at, BASE_PATH, type Microversion, project, type Route, type RouteName, routes } from '@oriel/contract'
import { deadline, type Logger } from '@oriel/runtime'
import type { Hono } from 'hono'
import type { Identity } from '../auth/authenticator.ts'
import { chooseAction } from './action.ts'
import { parseJson, readBody } from './body.ts'
import { type ApiContext, type ApiEnv, type ApiMiddleware, rawQuery } from './context.ts'
import { HttpFault, notFound, TEXT } from './faults.ts'
import { publicBase } from './host.ts'
import { acceptedType, contentType } from './media-type.ts'
import { negotiate } from './negotiate.ts'
import { parseQuery } from './query.ts'
import { validation } from './validate.ts'

/** The input of a handler. The body is valid at the request's microversion, which handlers do not see. */
export interface Call<Body = unknown> {
  readonly params: Readonly<Record<string, string>>
  readonly body: Body
  readonly query: ReadonlyMap<string, string>
  readonly identity: Identity
  /** The API's base URL for this caller, for links. */
  readonly base: string
  /** Aborts when the client disconnects or the source's deadline passes. */
  readonly signal: AbortSignal
  /** Adds the request id to every line. */
  readonly log: Logger
  /** Sets a header of the response. */
  readonly setHeader: (name: string, value: string) => void
}

/** The handler of a route. It returns the newest shape. */
export interface Operation<Body = never, Response = unknown> {
  /** Throws for a route that refuses every request, before the body is validated. */
  refuse?(): never
  handle(call: Call<Body>): Promise<Response>
}
export type Operations = { readonly [Name in RouteName]?: Operation }

export interface MountOptions {
  readonly operations: Operations
  readonly publicUrl: string | undefined
  readonly sourceTimeoutMs: number
  readonly log: Logger
}

/** Mounts every route that has an operation, with and without the project's id in front of its path. */
export function mountRoutes(app: Hono<ApiEnv>, options: MountOptions): void {
  const validate = validation()
  for (const group of groups(options.operations)) {
    const { method, path } = group[0]!.route
    const template = path.replace(/\{(\w+)\}/g, ':$1')
    const paths = [`${BASE_PATH}${template}`, `${BASE_PATH}/:project_id{[0-9a-f-]+}${template}`]
    app.on(method, paths, exactMethod(method), negotiate(), contentType(), (c) => respond(c, group, options, validate))
  }
}

interface Mounted {
  readonly route: Route
  readonly operation: Operation
  readonly action?: string
}

function groups(operations: Operations): Iterable<readonly Mounted[]> {
  const mounted = Object.entries(operations).map(([name, operation]): Mounted => {
    const route: Route = routes[name as RouteName]
    return { route, operation, ...(route.action !== undefined && { action: route.action }) }
  })
  return Map.groupBy(mounted, ({ route }) => `${route.method} ${route.path}`).values()
}

async function respond(
  c: ApiContext,
  group: readonly Mounted[],
  options: MountOptions,
  validate: ReturnType<typeof validation>,
): Promise<Response> {
  const microversion = c.get('microversion')!
  const body = await bodyFor(c, group)
  const { route, operation } = group[0]!.action === undefined ? group[0]! : chooseAction(group, body)
  checkProject(c)
  const query = route.method === 'GET' ? parseQuery(rawQuery(c)) : new Map<string, string>()
  checkAlive(route, microversion)
  operation.refuse?.()
  if (route.query) validate(route.query, microversion, Object.fromEntries(query))
  if (route.body) validate(route.body, microversion, body)
  using limit = sourceDeadline(c, options.sourceTimeoutMs)
  const response = await operation.handle({ ...callOf(c, options), body: body as never, query, signal: limit.signal })
  return jsonResponse(c, project(at(route.response, microversion), response))
}

/** Responds 200 with JSON, in the media type that the client prefers. */
export function jsonResponse(c: ApiContext, value: unknown): Response {
  c.header('Content-Type', acceptedType(c))
  return c.body(JSON.stringify(value))
}

/** Accepts only this method: Hono serves HEAD by the routes of GET, and Nova does not. */
export function exactMethod(method: string): ApiMiddleware {
  return async function exactMethod(c, next) {
    if (c.req.method !== method) throw notFound()
    await next()
  }
}

/** The body as JSON. An absent body is `null`, except for actions, which cannot be chosen without one. */
async function bodyFor(c: ApiContext, group: readonly Mounted[]): Promise<unknown> {
  const bytes = await readBody(c)
  return bytes.length === 0 && group[0]!.action === undefined ? null : parseJson(bytes)
}

/** @throws HttpFault 400 if the path names another project than the caller's. */
export function checkProject(c: ApiContext): void {
  const named = c.req.param('project_id')
  const identity = c.get('identity')
  const own = identity?.projectId
  if (named === undefined || named === own || identity?.everyProject) return
  const message = `Malformed request URL: URL's project_id '${named}' doesn't match Context's project_id '${own ?? 'None'}'`
  throw new HttpFault(400, message)
}

function checkAlive(route: Route, microversion: Microversion): void {
  if (alive(route, microversion)) return
  throw route.outside === 400 ? new HttpFault(400, TEXT.badRequest) : notFound()
}

/** A deadline that also aborts when the client disconnects. */
export const sourceDeadline = (c: ApiContext, timeoutMs: number) => deadline(timeoutMs, c.req.raw.signal)

/** The members of a call that do not depend on its route. */
const callOf = (c: ApiContext, { publicUrl, log }: MountOptions) => ({
  params: c.req.param() as Record<string, string>,
  identity: c.get('identity')!,
  base: publicBase(c, publicUrl),
  log: log.child({ requestId: c.get('requestId') }),
  setHeader: (name: string, value: string) => c.header(name, value),
})
