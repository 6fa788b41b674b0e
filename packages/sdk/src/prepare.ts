/** What a route and an input make of each other. */
import type { ExtensionRoute, Route } from '@oriel/contract'
import type { AnyInput, QueryParameters } from './client-at.ts'

/** Builds the method, the path with its query, and the body of a request. @throws TypeError if an id is not a valid one */
export function prepare({ method, path, body }: Route | ExtensionRoute, input: AnyInput) {
  return { method, path: filled(path, input) + queryString(input.query), ...(body && { body: input.body }) }
}

const filled = (path: string, input: AnyInput) =>
  path.replace(/\{(\w+)\}/g, (_, name: string) => pathSegment(name, input[name]))

// `.` and `..` would lead to another route, and nothing to the list above it.
function pathSegment(name: string, value: unknown): string {
  if (typeof value !== 'string' || /^\.{0,2}$/.test(value)) throw new TypeError(`${name} must be an id`)
  return encodeURIComponent(value)
}

function queryString(query: QueryParameters = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined)
  const text = new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)])).toString()
  return text && `?${text}`
}
