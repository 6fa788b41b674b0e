/** Generates OpenAPI 3.1 for one microversion from the contract, whose TypeBox schemas are JSON Schema already. */
import { faultSchema } from './faults.ts'
import { BASE_PATH, type Microversion, type Route, routes } from './microversions.ts'
import { type Json, pathParameters, plain, SECURITY } from './openapi-parts.ts'
import { alive, at } from './versioned.ts'

/**
 * Returns the OpenAPI 3.1 document of microversion `v`, with the routes that exist there and their schemas at `v`. Routes that
 * share a path, such as the server actions, are one operation whose body and response are a `oneOf`.
 */
export function openapi(v: Microversion): Json {
  const living = Object.entries<Route>(routes).filter(([, route]) => alive(route, v))
  const byPlace = Map.groupBy(living, ([, route]) => `${route.method} ${route.path}`)
  const paths: Record<string, Json> = {}
  for (const group of byPlace.values()) {
    const { method, path } = group[0]![1]
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(group, v) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Server Consoles API', version: v, description: INFO },
    servers: [{ url: BASE_PATH }],
    ...SECURITY,
    paths,
  }
}

const INFO = 'Consoles of servers, as OpenStack Nova describes them. The version of this document is the microversion.'
const FAULTS = { 400: 'Bad request', 401: 'No valid token', 403: 'Not allowed', 404: 'Not found', 409: 'Not ready' }

function operation(group: readonly [string, Route][], v: string): Json {
  const [first] = group
  const bodies = group.flatMap(([, { body }]) => (body ? [plain(at(body, v))] : []))
  const answers = group.map(([, { response }]) => plain(at(response, v)))
  return {
    operationId: group.length === 1 ? first![0] : 'serverAction',
    summary: group.map(([, { summary }]) => summary).join('; '),
    parameters: pathParameters(first![1]),
    ...(bodies.length > 0 && { requestBody: { required: true, content: json(oneOf(bodies)) } }),
    responses: {
      200: { description: 'Done', content: json(oneOf(answers)) },
      ...Object.fromEntries(Object.entries(FAULTS).map(([status, text]) => [status, fault(Number(status), text)])),
    },
  }
}

const fault = (status: number, description: string) => ({ description, content: json(plain(faultSchema(status))) })
const json = (schema: unknown) => ({ 'application/json': { schema } })
const oneOf = (schemas: readonly unknown[]) => (schemas.length === 1 ? schemas[0] : { oneOf: schemas })
