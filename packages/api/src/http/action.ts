/** Server actions: one path, and the body's only member says which action is meant. */
import { HttpFault, malformedBody, notFound } from './faults.ts'

/**
 * The route that a body chooses among those that share a path.
 *
 * An object must have one member, an action's name. Nova calls `len(body)` before it checks the type. So `null`, numbers,
 * and arrays or strings of length 1 answer 404; arrays and strings of any other length answer 400.
 * @throws HttpFault 400 or 404.
 */
export function chooseAction<R extends { readonly action?: string }>(routes: readonly R[], body: unknown): R {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw notAnObject(body)
  const names = Object.keys(body)
  if (names.length !== 1) throw malformedBody()
  const found = routes.find(({ action }) => action === names[0])
  if (!found) throw new HttpFault(400, `There is no such action: ${names[0]}`)
  return found
}

function notAnObject(body: unknown): HttpFault {
  const length = typeof body === 'string' ? [...body].length : Array.isArray(body) ? body.length : 1
  return length === 1 ? notFound() : malformedBody()
}
