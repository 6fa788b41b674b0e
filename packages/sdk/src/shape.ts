/**
 * Checks that a response has the required members of its type, each of the right JSON type. Ignores formats, literals and the
 * items of lists: one incomplete server, such as one in a cell that is down, must not hide the others.
 */

/** Returns the path and expected type of the first member that is missing or of another type, or else `undefined`. */
export function misfit(schema: object, value: unknown, path = ''): string | undefined {
  const { type, const: literal, anyOf, properties, required = [] } = schema as Schema
  if (anyOf) return anyOf.some((member) => misfit(member, value, path) === undefined) ? undefined : lacks(path)
  if (!hasKind(type ?? typeof literal, value)) return lacks(path)
  for (const [name, member] of Object.entries(properties ?? {})) {
    const below = (value as Record<string, unknown>)[name]
    if (below === undefined && !required.includes(name)) continue
    const found = misfit(member, below, path === '' ? name : `${path}.${name}`)
    if (found !== undefined) return found
  }
  return undefined
}

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
