/** Describes schemas in words: JSON Schema with OpenStack's `x-openstack` extension. */

export interface Schema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly description?: string
  readonly deprecated?: boolean
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly 'x-openstack'?: { readonly 'min-ver'?: string; readonly 'max-ver'?: string }
}

/** Describes the microversions that have a node; empty if all have it. */
export function spanOf({ 'x-openstack': span = {} }: Schema): string {
  const { 'min-ver': since, 'max-ver': until } = span
  if (since && until) return `${since} to ${until}`
  if (since) return `since ${since}`
  return until ? `until ${until}` : ''
}

/** Describes the type of a value. */
export function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' or ')
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeOf))].join(' or ')
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`
  if (schema.type === 'object') return 'table'
  return [schema.type ?? 'any', rangeOf(schema)].filter(Boolean).join(', ')
}

function rangeOf({ minimum, maximum }: Schema): string {
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`
  if (minimum !== undefined) return `${minimum} or more`
  return maximum === undefined ? '' : `at most ${maximum}`
}
