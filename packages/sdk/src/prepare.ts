/** Builds requests from a route and its input. */
import type { ExtensionRoute, Route } from '@oriel/contract'
import type { AnyInput, QueryParameters } from './client-at.ts'

/** Builds the method, the path with its query, and the body of a request. @throws TypeError for an invalid id. */
export function prepare({ method, path, body }: Route | ExtensionRoute, input: AnyInput) {
  return { method, path: filled(path, input) + queryString(input.query), ...(body && { body: input.body }) }
}

const filled = (path: string, input: AnyInput) =>
  path.replace(/\{(\w+)\}/g, (_, name: string) => pathSegment(name, input[name]))

// `.` and `..` would change the route, and an empty id would give the path of the list.
function pathSegment(name: string, value: unknown): string {
  if (typeof value !== 'string' || /^\.{0,2}$/.test(value)) throw new TypeError(`${name} must be an id`)
  return encodeURIComponent(value)
}

function queryString(query: QueryParameters = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined)
  const text = new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)])).toString()
  return text && `?${text}`
}
