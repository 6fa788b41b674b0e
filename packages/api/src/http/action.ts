/** Server actions: they share one path, and the only member of the body names the action. */
import { HttpFault, malformedBody, notFound } from './faults.ts'

/**
 * Chooses the route for a body among those that share a path.
 *
 * The body must be an object with an action's name as its only member. Nova calls `len(body)` before it checks the type. So
 * `null`, numbers, and arrays or strings of length 1 give a 404; arrays and strings of any other length give a 400.
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
