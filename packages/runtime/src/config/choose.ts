/** Chooses the member of a union that a value was meant for. */
import { segmentOf } from './environment.ts'
import { fault, wrongShape } from './faults.ts'
import { field, isTable, type KeyInput, type ResolveContext } from './key-input.ts'
import { keyPath } from './path.ts'
import type { JsonSchema } from './schema-view.ts'
import * as Schema from './schema-view.ts'
import { misfit, missing } from './words.ts'

/** Returns the member, or a union of plain members if several fit. Records a fault and returns `undefined` if none does. */
export function choose(context: ResolveContext, schema: JsonSchema, input: KeyInput): JsonSchema | undefined {
  const all = Schema.members(schema)
  const shape = shapeOfValue(all, input)
  const fitting = all.filter((member) => Schema.shapeOf(member) === shape)
  if (shape === 'table' && fitting.length > 1) return chooseTable(context, fitting, input)
  if (shape === 'value' && fitting.length > 1) return { anyOf: fitting }
  if (fitting[0]) return fitting[0]
  return fault(context, input, input.value === undefined ? missing(schema) : wrongShape(schema, input.value))
}

function shapeOfValue(all: readonly JsonSchema[], { value, env }: KeyInput): Schema.Shape {
  if (Array.isArray(value)) return 'list'
  if (isTable(value)) return 'table'
  if (value !== undefined) return 'value'
  const shapes = new Set(all.map(Schema.shapeOf))
  const indexed = [...(env?.children.keys() ?? [])].every((segment) => /^\d+$/.test(segment))
  if (env && env.children.size > 0) return shapes.has('list') && indexed ? 'list' : 'table'
  return shapes.size === 1 && shapes.has('table') ? 'table' : 'value'
}

function chooseTable(context: ResolveContext, tables: readonly JsonSchema[], input: KeyInput): JsonSchema | undefined {
  const tag = Schema.discriminator(tables)
  if (tag === undefined) return tables.toSorted((a, b) => mismatch(a, input) - mismatch(b, input))[0]
  const said = input.env?.children.get(segmentOf(tag))?.text ?? field(input.value, tag)
  const schemaOf = (member: JsonSchema) => Schema.property(member, tag)
  const found = tables.find((member) =>
    said === undefined ? schemaOf(member)?.default !== undefined : Schema.literals(schemaOf(member))?.includes(said),
  )
  if (found) return found
  const known = { enum: tables.flatMap((member) => Schema.literals(schemaOf(member)) ?? []) }
  const path = keyPath(input.path, tag)
  return fault(
    context,
    { path },
    said === undefined ? missing(known) : misfit(known, said, { keyword: 'enum', message: '' }),
  )
}

/** The number of unknown and missing keys if the input is taken for this table. */
function mismatch(schema: JsonSchema, { value, env }: KeyInput): number {
  const segments = new Set([
    ...Object.keys(isTable(value) ? value : {}).map(segmentOf),
    ...(env?.children.keys() ?? []),
  ])
  const known = new Set(Object.keys(schema.properties ?? {}).map(segmentOf))
  const unknown = [...segments].filter((segment) => !known.has(segment) && !known.has(segment.replace(/_file$/, '')))
  const absent = (schema.required ?? []).filter((key) => !segments.has(segmentOf(key)))
  return unknown.length + absent.length
}
