/**
 * Checks that a response has the required members of its type, each of the right JSON type. Ignores formats, literals and the
 * items of lists: one incomplete server, such as one in a cell that is down, must not hide the others.
 *
 * Skips the members that do not exist at the microversion, instead of building the schema at that microversion by `at`: a proxy
 * checks two responses for each console that it opens.
 */
import { alive, LATEST } from '@oriel/contract'

/**
 * Returns the path and expected type of the first member that is missing or of another type, or else `undefined`.
 * @param v the microversion of the response. Default: the latest
 */
export function misfit(schema: object, value: unknown, v: string = LATEST, path = ''): string | undefined {
  const { type, const: literal, anyOf, properties = {}, required = [] } = schema as Schema
  if (anyOf) return anyOf.some((member) => alive(member, v) && fits(member, value, v)) ? undefined : lacks(path)
  if (!hasKind(type ?? typeof literal, value)) return lacks(path)
  for (const [name, member] of Object.entries(properties)) {
    const below = (value as Record<string, unknown>)[name]
    if (!alive(member, v) || (below === undefined && !required.includes(name))) continue
    const found = misfit(member, below, v, path === '' ? name : `${path}.${name}`)
    if (found !== undefined) return found
  }
  return undefined
}

const fits = (schema: object, value: unknown, v: string) => misfit(schema, value, v) === undefined

interface Schema {
  readonly type?: string
  readonly const?: unknown
  readonly anyOf?: readonly object[]
  readonly properties?: Readonly<Record<string, object>>
  readonly required?: readonly string[]
}

const lacks = (path: string) => path || 'the object'

function hasKind(kind: string, value: unknown): boolean {
  if (kind === 'null') return value === null
  if (kind === 'array') return Array.isArray(value)
  if (kind === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  return typeof value === (kind === 'integer' ? 'number' : kind)
}
