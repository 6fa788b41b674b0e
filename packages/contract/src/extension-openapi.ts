/** Generates OpenAPI 3.1 for Oriel's extension, from the schemas and the examples of its routes. */
import * as Type from 'typebox'
import { EXTENSION_PATH, type ExtensionRoute, type ExtensionRouteName, extensionRoutes } from './extension.ts'
import { extensionExamples } from './extension-examples.ts'
import { faultBody, faultSchema } from './faults.ts'
import { type Json, pathParameters, plain, SECURITY } from './openapi-parts.ts'

const INFO =
  'Sessions, invitations and consoles with options: what Oriel adds to the Server Consoles API. The extension has no microversions: later versions may add members, so accept members that you do not know.'

/** The refusals that every route has, by status. */
const FAULTS = {
  400: 'The request is malformed, or its schema does not allow it.',
  401: 'The token is missing or not valid.',
  403: "The caller's roles do not suffice, or the object belongs to somebody else.",
  500: 'The API failed. Its log says why.',
  503: 'A service that the API needs does not answer. Retry-After says when to try again.',
} as const
/** Those of routes that take a body. */
const BODY_FAULTS = { 413: 'The body is too large.', 415: 'The body is not JSON.' } as const

/** Returns the OpenAPI 3.1 document of the extension. */
export function extensionOpenapi(): Json {
  const paths: Record<string, Json> = {}
  for (const name of Object.keys(extensionRoutes) as ExtensionRouteName[]) {
    const { method, path } = extensionRoutes[name]
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(name, extensionRoutes[name]) }
  }
  return {
    openapi: '3.1.0',
    info: { title: "Oriel's extension of the Server Consoles API", version: 'v1', description: INFO },
    servers: [{ url: EXTENSION_PATH }],
    ...SECURITY,
    paths,
  }
}

function operation(name: ExtensionRouteName, route: ExtensionRoute): Json {
  const { refusals, response, ...example } = extensionExamples[name] as Example
  const faults = { ...FAULTS, ...(route.body && BODY_FAULTS), ...refusals }
  return {
    operationId: name,
    summary: route.summary,
    description: `Needs a role that the policy rule ${route.policy} grants.`,
    parameters: [...pathParameters(route), ...queryParameters(route), ...headerParameters(route)],
    ...(route.body && { requestBody: { required: true, content: json(route.body, example.body) } }),
    responses: {
      ...success(route, response),
      ...Object.fromEntries(Object.entries(faults).map(([status, reason]) => [status, fault(Number(status), reason)])),
    },
  }
}

/** An example of any route. */
interface Example {
  readonly response: unknown
  readonly refusals?: Readonly<Record<number, string>>
  readonly body?: unknown
}

function success({ response, media }: ExtensionRoute, example: unknown): Json {
  if (media) return { 200: { description: 'Done', content: Object.fromEntries(media.map((type) => [type, {}])) } }
  if (!Type.IsNull(response)) return { 200: { description: 'Done', content: json(response, example) } }
  return { 202: { description: 'Accepted. A proxy has still to close sessions.' }, 204: { description: 'Done' } }
}

const queryParameters = ({ query }: ExtensionRoute) =>
  Object.entries(Type.IsObject(query) ? query.properties : {}).map(([name, schema]) => ({
    ...{ name, in: 'query', required: false },
    schema: plain(schema),
  }))

const headerParameters = ({ headers = {} }: ExtensionRoute) =>
  Object.entries(headers).map(([name, example]) => ({ name, in: 'header', schema: { type: 'string' }, example }))

/** A fault as the API sends it. That of a missing or invalid token has the form of Keystone's middleware. */
function fault(status: number, description: string): Json {
  if (status === 401) return { description, content: json(unauthorized, UNAUTHORIZED) }
  return { description, content: json(faultSchema(status), faultBody(status, description)) }
}

const unauthorized = Type.Object({
  error: Type.Object({ code: Type.Literal(401), title: Type.String(), message: Type.String() }),
})
const UNAUTHORIZED = {
  error: { code: 401, title: 'Unauthorized', message: 'The request you have made requires authentication.' },
}

const json = (schema: Type.TSchema, example: unknown) => ({ 'application/json': { schema: plain(schema), example } })
