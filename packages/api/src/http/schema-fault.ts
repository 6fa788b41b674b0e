/**
 * Finds the first fault of a value in Nova's order: the value's own type, then its properties in the schema's order (one
 * completely before the next), then missing properties, then unknown ones.
 *
 * Uses Nova's sentence unless that would quote a value of the request. Then the sentence names the field's path and the
 * allowed values.
 */
import * as Type from 'typebox'

/** Returns a sentence about the first fault of `value`, or `undefined` if it is valid. */
export function schemaFault(schema: Type.TSchema, value: unknown): string | undefined {
  return faultAt(schema, value, [])
}

type Path = readonly string[]

function faultAt(schema: Type.TSchema, value: unknown, path: Path): string | undefined {
  if (Type.IsObject(schema)) return objectFault(schema, value, path)
  if (Type.IsUnion(schema)) return unionFault(schema.anyOf, value, path)
  if (Type.IsLiteral(schema)) return schema.const === value ? undefined : notOneOf([schema], path)
  if (Type.IsString(schema)) return stringFault(schema, value, path)
  if (Type.IsInteger(schema)) return integerFault(schema, value, path)
  if (Type.IsArray(schema)) return arrayFault(schema, value, path)
  if (Type.IsBoolean(schema)) return typeof value === 'boolean' ? undefined : wrongType([schema], path)
  if (Type.IsNull(schema)) return value === null ? undefined : wrongType([schema], path)
  throw new TypeError(`unsupported schema ${JSON.stringify(schema)}`)
}

function objectFault(schema: Type.TObject, value: unknown, path: Path): string | undefined {
  if (!isRecord(value)) return wrongType([schema], path)
  const members = Object.entries(schema.properties)
  for (const [name, member] of members) {
    const fault = Object.hasOwn(value, name) ? faultAt(member, value[name], [...path, name]) : undefined
    if (fault !== undefined) return fault
  }
  const missing = members.find(([name, member]) => !Type.IsOptional(member) && !Object.hasOwn(value, name))
  if (missing) return at(path, `'${missing[0]}' is a required property`)
  const unknown = Object.keys(value).filter((name) => !Object.hasOwn(schema.properties, name))
  return keywords(schema).additionalProperties === false && unknown.length > 0
    ? at(path, unexpected(unknown))
    : undefined
}

function unionFault(members: readonly Type.TSchema[], value: unknown, path: Path): string | undefined {
  const faults = members.map((member) => faultAt(member, value, path))
  if (faults.includes(undefined)) return undefined
  if (members.every(Type.IsLiteral)) return notOneOf(members, path)
  const sameKind = members.findIndex((member) => kindOf(value) === kindOf(example(member)))
  return sameKind < 0 ? wrongType(members, path) : faults[sameKind]
}

function stringFault(schema: Type.TString, value: unknown, path: Path): string | undefined {
  if (typeof value !== 'string') return wrongType([schema], path)
  const { pattern, minLength = 0, maxLength = Number.POSITIVE_INFINITY } = keywords(schema)
  if (value.length < minLength) return at(path, `must not be shorter than ${minLength}`)
  if (value.length > maxLength) return at(path, `must not be longer than ${maxLength}`)
  const fits = pattern === undefined || new RegExp(pattern, 'u').test(value)
  return fits ? undefined : at(path, `must match ${pattern}`)
}

function arrayFault(schema: Type.TArray, value: unknown, path: Path): string | undefined {
  if (!Array.isArray(value)) return wrongType([schema], path)
  const { maxItems = Number.POSITIVE_INFINITY } = keywords(schema)
  if (value.length > maxItems) return at(path, `must not have more than ${maxItems} items`)
  for (const [index, item] of value.entries()) {
    const fault = faultAt(schema.items, item, [...path, String(index)])
    if (fault !== undefined) return fault
  }
  return undefined
}

function integerFault(schema: Type.TInteger, value: unknown, path: Path): string | undefined {
  if (!Number.isInteger(value)) return wrongType([schema], path)
  const { minimum = Number.NEGATIVE_INFINITY } = keywords(schema)
  return (value as number) >= minimum ? undefined : at(path, `must not be less than ${minimum}`)
}

function unexpected(names: readonly string[]): string {
  const listed = names.toSorted().map((name) => `'${name}'`)
  return `Additional properties are not allowed (${listed.join(', ')} ${names.length === 1 ? 'was' : 'were'} unexpected)`
}

const notOneOf = (members: readonly Type.TLiteral[], path: Path) =>
  at(path, `must be one of ${members.map((member) => `'${member.const}'`).join(', ')}`)
const wrongType = (members: readonly Type.TSchema[], path: Path) =>
  at(path, `must be ${members.map((member) => NAMES[kindOf(example(member))]).join(' or ')}`)

function at(path: Path, text: string): string {
  if (path.length > 0) return `Invalid input for ${path.join('.')}: ${text}`
  return text.startsWith('must ') ? `The request body ${text}` : text
}

/** The keywords that a schema may have besides its kind. */
const keywords = (schema: Type.TSchema) =>
  schema as {
    readonly additionalProperties?: boolean
    readonly pattern?: string
    readonly minLength?: number
    readonly maxLength?: number
    readonly maxItems?: number
    readonly minimum?: number
  }

type Kind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null'
const NAMES = {
  object: 'an object',
  array: 'an array',
  string: 'a string',
  number: 'an integer',
  boolean: 'a boolean',
  null: 'null',
} as const satisfies Record<Kind, string>

function kindOf(value: unknown): Kind {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : (typeof value as Kind)
}

/** Returns any value of the JSON type that a schema describes. */
function example(schema: Type.TSchema): unknown {
  if (Type.IsLiteral(schema)) return schema.const
  if (Type.IsString(schema)) return ''
  if (Type.IsInteger(schema)) return 0
  if (Type.IsArray(schema)) return []
  if (Type.IsBoolean(schema)) return false
  return Type.IsNull(schema) ? null : {}
}

const isRecord = (value: unknown): value is Record<string, unknown> => kindOf(value) === 'object'
