/**
 * Walks schema, file and environment together. Returns the configuration with defaults filled in, secrets wrapped and all
 * tables frozen, and collects a fault wherever the input does not fit the schema.
 */
import { choose } from './choose.ts'
import { type EnvironmentNode, segmentOf } from './environment.ts'
import { fault, unknownKey, unknownVariables, wrongShape } from './faults.ts'
import { isTable, type KeyInput, type ResolveContext, type Table, UNREADABLE } from './key-input.ts'
import { leaf } from './leaf.ts'
import { elementPath, keyPath } from './path.ts'
import type { JsonSchema } from './schema-view.ts'
import * as Schema from './schema-view.ts'
import { parseInline, Text } from './text.ts'
import { readFiles } from './value-file.ts'
import { refined } from './whole.ts'
import { quote } from './words.ts'

/** Returns the checked value of a key. Records faults, and returns `undefined` if the key has no usable value. */
export function resolve(context: ResolveContext, schema: JsonSchema, input: KeyInput): unknown {
  const value = expand(schema, given(schema, input))
  if (value === UNREADABLE) return undefined
  const member = choose(context, schema, { ...input, value })
  if (!member) return undefined
  const at = { ...input, value }
  if (Schema.shapeOf(member) === 'table') return table(context, member, at)
  if (Schema.shapeOf(member) === 'list') return list(context, member, at)
  return leaf(context, member, at)
}

/** The environment overrides the file, and the file the default. */
function given(schema: JsonSchema, { value, env }: KeyInput): unknown {
  if (env?.text !== undefined) return new Text(env.text, env.name)
  return value === undefined ? structuredClone(schema.default) : value
}

/** Parses text for a list or table as TOML's inline form. */
function expand(schema: JsonSchema, value: unknown): unknown {
  if (!(value instanceof Text)) return value
  const shapes = Schema.members(schema).map(Schema.shapeOf)
  const structured = /^\s*[[{]/.test(value.text) && shapes.some((shape) => shape !== 'value')
  return structured ? (parseInline(value.text) ?? value) : value
}

// Tables

function table(context: ResolveContext, schema: JsonSchema, input: KeyInput): unknown {
  const { value = {}, env, path } = input
  if (!isTable(value)) return fault(context, input, wrongShape(schema, value))
  const entries = new Map<string, KeyInput>()
  for (const key of Object.keys(value)) entries.set(key, { path: keyPath(path, key), value: value[key] })
  for (const [segment, node] of env?.children ?? []) addVariable(context, schema, path, entries, segment, node)
  readFiles(context, schema, path, entries)
  const result = { ...named(context, schema, path, entries), ...others(context, schema, path, entries) }
  return refined(context, schema, input, Object.freeze(result))
}

function named(context: ResolveContext, schema: JsonSchema, path: string, entries: Map<string, KeyInput>): Table {
  const result: [string, unknown][] = []
  for (const [key, inner] of Object.entries(schema.properties ?? {})) {
    const entry = entries.get(key)
    const needed = schema.required?.includes(key) || inner.default !== undefined
    if (!entry && !needed) continue
    const value = resolve(context, inner, entry ?? { path: keyPath(path, key), value: undefined })
    if (value !== undefined) result.push([key, value])
  }
  return Object.fromEntries(result)
}

/** Resolves the keys that the schema does not name: entries of a record, or else faults. */
function others(context: ResolveContext, schema: JsonSchema, path: string, entries: Map<string, KeyInput>): Table {
  const result: [string, unknown][] = []
  for (const [key, entry] of entries) {
    if (Schema.property(schema, key)) continue
    const inner = Schema.freeKey(schema, key)
    if (inner) result.push([recordKey(context, schema, key, entry), resolve(context, inner, entry)])
    else unknownKey(context, schema, path, key)
  }
  const twice = result.find(([key], i) => result.findIndex(([other]) => other === key) !== i)
  if (twice) fault(context, { path }, `names ${quote(twice[0])} twice, give it once`)
  return Object.fromEntries(result)
}

/** Normalises the key with the record's parser. */
function recordKey(context: ResolveContext, schema: JsonSchema, key: string, input: KeyInput): string {
  const parse = Schema.keyParserOf(schema)
  try {
    return parse ? parse(key) : key
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    fault(context, input, `${quote(key)} ${error.message}`)
    return key
  }
}

function addVariable(
  context: ResolveContext,
  schema: JsonSchema,
  path: string,
  entries: Map<string, KeyInput>,
  segment: string,
  env: EnvironmentNode,
): void {
  const key = keyFor(schema, entries, segment)
  if (key === undefined) unknownVariables(context, env)
  else entries.set(key, { path: keyPath(path, key), value: entries.get(key)?.value, env })
}

/** Finds the key for a step of a variable's name: one of the schema, one of the file or, in a record, a new one. */
function keyFor(schema: JsonSchema, entries: Map<string, KeyInput>, segment: string): string | undefined {
  const names = Object.keys(schema.properties ?? {})
  const known = [...names, ...entries.keys(), ...names.map((name) => `${name}_file`)]
  const found = known.find((key) => segmentOf(key) === segment)
  return found ?? (Schema.freeKey(schema, segment) ? segment : undefined)
}

// Lists

function list(context: ResolveContext, schema: JsonSchema, input: KeyInput): unknown {
  const { value = [], env, path } = input
  if (!Array.isArray(value)) return fault(context, input, wrongShape(schema, value))
  const children = [...(env?.children ?? [])].sort(([a], [b]) => Number(a) - Number(b))
  const elements: KeyInput[] = value.map((element, index) => ({ path: elementPath(path, index), value: element }))
  for (const [segment, node] of children) addElement(context, path, elements, segment, node)
  const items = schema.items ?? {}
  const result = elements.map((element) => resolve(context, items, element))
  return refined(context, schema, input, Object.freeze(result))
}

function addElement(
  context: ResolveContext,
  path: string,
  elements: KeyInput[],
  segment: string,
  env: EnvironmentNode,
): void {
  const index = Number(segment)
  if (!/^\d+$/.test(segment)) unknownVariables(context, env)
  else if (index > elements.length) fault(context, { path: env.name }, gap(elementPath(path, elements.length)))
  else elements[index] = { path: elementPath(path, index), value: elements[index]?.value, env }
}

function gap(path: string): string {
  return `${path} is missing, number the elements without gaps`
}
