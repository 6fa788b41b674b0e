/** The flow of a request once its path is known: every step, in the order in which Nova takes them. */
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

/** What a handler is given. Bodies are valid at the request's microversion; handlers never see which one that is. */
export interface Call<Body = unknown> {
  readonly params: Readonly<Record<string, string>>
  readonly body: Body
  readonly query: ReadonlyMap<string, string>
  readonly identity: Identity
  /** Where the API stands for this caller, for links. */
  readonly base: string
  /** Aborted when the client has gone or the source's deadline has passed. */
  readonly signal: AbortSignal
  /** Every line has the request id. */
  readonly log: Logger
}

/** How a route is answered: always in the newest shape. */
export interface Operation<Body = never, Response = unknown> {
  /** Throws where a route refuses every request that reaches it, before bodies are looked at. */
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

/** Mounts every route that has an operation, with and without the project's id before it. */
export function mountRoutes(app: Hono<ApiEnv>, options: MountOptions): void {
  const validate = validation()
  for (const group of groups(options.operations)) {
    const { method, path } = group[0]!.route
    const template = path.replace(/\{(\w+)\}/g, ':$1')
    const paths = [`${BASE_PATH}${template}`, `${BASE_PATH}/:project_id{[0-9a-f-]+}${template}`]
    app.on(method, paths, exactMethod(method), negotiate(), contentType(), (c) => answer(c, group, options, validate))
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

async function answer(
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
  return answerJson(c, project(at(route.response, microversion), response))
}

/** Answers 200 with JSON, under the name for it that the client prefers. */
export function answerJson(c: ApiContext, value: unknown): Response {
  c.header('Content-Type', acceptedType(c))
  return c.body(JSON.stringify(value))
}

/** Lets in this method alone: Hono lets HEAD in by the routes of GET, Nova does not. */
export function exactMethod(method: string): ApiMiddleware {
  return async function exactMethod(c, next) {
    if (c.req.method !== method) throw notFound()
    await next()
  }
}

/** The body as JSON. No body at all is `null`, but for an action, which then cannot be chosen. */
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

/** Comes when the client has gone or the time for the source is up. */
export const sourceDeadline = (c: ApiContext, timeoutMs: number) => deadline(timeoutMs, c.req.raw.signal)

/** What every call has that its route says nothing of. */
const callOf = (c: ApiContext, { publicUrl, log }: MountOptions) => ({
  params: c.req.param() as Record<string, string>,
  identity: c.get('identity')!,
  base: publicBase(c, publicUrl),
  log: log.child({ requestId: c.get('requestId') }),
})
