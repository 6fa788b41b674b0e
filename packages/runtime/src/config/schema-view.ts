/** Reads configuration schemas as plain JSON Schema. */
import { KEY_PARSER, PARSER, PEM_MARK, SECRET_MARK, UNQUOTED_MARK } from './schemas.ts'

/** The keywords that configuration schemas use. */
export interface JsonSchema {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly allOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly default?: unknown
  readonly [keyword: string]: unknown
}

export type Shape = 'table' | 'list' | 'value'

/** The members of a union, with nested unions flattened and intersections merged. Any other schema is its only member. */
export function members(schema: JsonSchema): readonly JsonSchema[] {
  return schema.anyOf ? schema.anyOf.flatMap(members) : [merged(schema)]
}

/** The shape of the values that a schema allows. Not for unions: call it for each of their members. */
export function shapeOf(schema: JsonSchema): Shape {
  if (schema.type === 'object' || schema.properties || schema.patternProperties) return 'table'
  return schema.type === 'array' ? 'list' : 'value'
}

export function isSecret(schema: JsonSchema): boolean {
  return schema[SECRET_MARK] === true
}

/** Whether the value may be given as the name of a PEM file. */
export function isPem(schema: JsonSchema): boolean {
  return schema[PEM_MARK] === true
}

/** The function that checks and normalises the schema's text, see `parsedText`. */
export const parserOf = (schema: JsonSchema) => schema[PARSER] as ((text: string) => string) | undefined

/** The function that checks and normalises a record's keys. */
export const keyParserOf = (schema: JsonSchema) => schema[KEY_PARSER] as ((key: string) => string) | undefined

/** Whether this schema or one below it is a secret, so that faults must not quote the value. */
export function holdsSecret(schema: JsonSchema): boolean {
  return isSecret(schema) || schema[UNQUOTED_MARK] === true || below(schema).some(holdsSecret)
}

/** The values of a literal, an enum, or a union of these. `undefined` for other schemas. */
export function literals(schema: JsonSchema | undefined): readonly unknown[] | undefined {
  if (!schema) return undefined
  if (schema.const !== undefined) return [schema.const]
  if (schema.enum) return schema.enum
  const lists = schema.anyOf?.map(literals)
  return lists?.every((list) => list !== undefined) ? lists.flat() : undefined
}

/** The key whose literal distinguishes the tables of a union, such as `kind`. */
export function discriminator(tables: readonly JsonSchema[]): string | undefined {
  const keys = Object.keys(tables[0]?.properties ?? {})
  return keys.find((key) => {
    const values = tables.map((table) => literals(property(table, key)))
    return values.every((list) => list !== undefined) && new Set(values.flat()).size === values.flat().length
  })
}

/** The schema of a key that the table names. */
export function property(table: JsonSchema, key: string): JsonSchema | undefined {
  return table.properties && Object.hasOwn(table.properties, key) ? table.properties[key] : undefined
}

/** The schema of a record's entry `key`. `undefined` if the table is not a record or refuses the key. */
export function freeKey(table: JsonSchema, key: string): JsonSchema | undefined {
  const pattern = Object.entries(table.patternProperties ?? {}).find(([source]) => new RegExp(source, 'u').test(key))
  if (pattern) return pattern[1]
  if (table.additionalProperties === true) return {}
  return table.additionalProperties || undefined
}

/** Whether the table accepts keys that its schema does not name. */
export function isRecord(table: JsonSchema): boolean {
  return table.patternProperties !== undefined || Boolean(table.additionalProperties)
}

/** Every key path that the schema names, as segments; a list's element is the segment `0`. */
export function knownPaths(schema: JsonSchema, prefix: readonly string[] = []): readonly (readonly string[])[] {
  return members(schema).flatMap((member) => {
    const named = Object.entries(member.properties ?? {}).flatMap(([key, inner]) => {
      const path = [...prefix, key]
      return [path, ...knownPaths(inner, path)]
    })
    return member.items ? [...named, ...knownPaths(member.items, [...prefix, '0'])] : named
  })
}

function below(schema: JsonSchema): readonly JsonSchema[] {
  const extra = typeof schema.additionalProperties === 'object' ? [schema.additionalProperties] : []
  const tables = [...Object.values(schema.properties ?? {}), ...Object.values(schema.patternProperties ?? {}), ...extra]
  return [...tables, ...(schema.anyOf ?? []), ...(schema.allOf ?? []), ...(schema.items ? [schema.items] : [])]
}

function merged(schema: JsonSchema): JsonSchema {
  if (!schema.allOf) return schema
  const parts = [schema, ...schema.allOf.map(merged)]
  return {
    ...schema,
    type: 'object',
    properties: Object.assign({}, ...parts.map((part) => part.properties)),
    required: parts.flatMap((part) => part.required ?? []),
  }
}
