/** Lists all keys of a configuration schema, for tests that apply to each key. */

export interface SchemaNode {
  readonly type?: string
  readonly pattern?: string
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
  readonly anyOf?: readonly SchemaNode[]
  readonly [keyword: string]: unknown
}

export interface SchemaKey {
  /** `[0]` stands for each element of a list, `*` for any key of a record. */
  readonly path: string
  readonly schema: SchemaNode
}

/** Returns the schema's keys at every depth, including those of all members of unions. */
export function keysOf(schema: SchemaNode, path = ''): readonly SchemaKey[] {
  const inside = (name: string) => (path === '' ? name : `${path}.${name}`)
  return [
    { path, schema },
    ...Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => keysOf(inner, inside(name))),
    ...Object.values(schema.patternProperties ?? {}).flatMap((inner) => keysOf(inner, inside('*'))),
    ...(schema.items ? keysOf(schema.items, `${path}[0]`) : []),
    ...(schema.anyOf ?? []).flatMap((inner) => keysOf(inner, path)),
  ]
}
