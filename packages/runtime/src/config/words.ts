/** Words faults and remedies. */
import { maskTokens } from '../mask.ts'
import { holdsSecret, type JsonSchema, literals, members, shapeOf } from './schema-view.ts'
import { PARSER, REMEDY_MARK } from './schemas.ts'

const QUOTED_CHARACTERS = 60

/** The part of a TypeBox error that the wording needs. */
export interface KeywordError {
  readonly keyword: string
  readonly message: string
}

/** Describes the values that a schema allows: `a number of 1 or more`, `one of "none", "static"`. */
export function describe(schema: JsonSchema): string {
  if (typeof schema[REMEDY_MARK] === 'string') return schema[REMEDY_MARK]
  const listed = literals(schema)
  if (listed) return listed.length === 1 ? quote(listed[0]) : `one of ${listed.map(quote).join(', ')}`
  return [...new Set(members(schema).map(describeOne))].join(' or ')
}

/** Explains why `value` does not fit, and what would. Does not quote a value that may contain a secret. */
export function misfit(schema: JsonSchema, value: unknown, error: KeywordError): string {
  const shown = holdsSecret(schema) ? 'the value' : quote(value)
  if (error.keyword === PARSER) return `${shown} ${error.message}`
  const reason = REASONS[error.keyword]
  if (!reason) return `${shown} does not fit: ${error.message}`
  return `${shown} ${reason(schema, value)}`
}

/** The fault of a required key that is absent. */
export function missing(schema: JsonSchema): string {
  return `missing, give ${describe(schema)}`
}

/** Formats a value for a message: as JSON, shortened, with tokens masked. */

export function quote(value: unknown): string {
  const text = maskTokens(typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value)))
  return text.length > QUOTED_CHARACTERS ? `${text.slice(0, QUOTED_CHARACTERS)}…` : text
}

const REASONS: Readonly<Record<string, (schema: JsonSchema, value: unknown) => string>> = {
  type: (schema, value) => `is ${describeValue(value)}, give ${describe(schema)}`,
  const: (schema) => `is not known, give ${describe(schema)}`,
  enum: (schema) => `is not known, give ${describe(schema)}`,
  anyOf: (schema) => `does not fit, give ${describe(schema)}`,
  minimum: (schema) => `is too small, give ${number(schema)}`,
  maximum: (schema) => `is too large, give ${number(schema)}`,
  exclusiveMinimum: (schema) => `is too small, give ${number(schema)}`,
  exclusiveMaximum: (schema) => `is too large, give ${number(schema)}`,
  multipleOf: (schema) => `does not fit, give a multiple of ${schema.multipleOf}`,
  minLength: (schema) => `is too short, give ${string(schema)}`,
  maxLength: (schema) => `is too long, give ${string(schema)}`,
  pattern: (schema) => `does not fit, give ${describe(schema)}`,
  format: (schema) => `does not fit, give ${describe(schema)}`,
  minItems: (schema) => `has too few elements, give ${list(schema)}`,
  maxItems: (schema) => `has too many elements, give ${list(schema)}`,
  uniqueItems: () => 'names an element twice, give each element once',
  '~refine': (schema) => `does not fit, give ${describe(schema)}`,
}

const FORMATS: Readonly<Record<string, string>> = {
  uri: 'an absolute URL, such as "https://console.example/"',
  url: 'an absolute URL, such as "https://console.example/"',
  uuid: 'a UUID',
  hostname: 'a host name',
  ipv4: 'an IPv4 address',
  ipv6: 'an IPv6 address',
  email: 'an e-mail address',
}

function describeOne(schema: JsonSchema): string {
  const listed = literals(schema)
  if (listed) return listed.map(quote).join(', ')
  if (shapeOf(schema) === 'table') return 'a table'
  if (shapeOf(schema) === 'list') return list(schema)
  if (schema.type === 'string') return string(schema)
  if (schema.type === 'boolean') return 'true or false'
  if (schema.type === 'integer') return number(schema).replace('a number', 'a whole number')
  return schema.type === 'number' ? number(schema) : 'a value'
}

function number({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): string {
  if (minimum !== undefined && maximum !== undefined) return `a number from ${minimum} to ${maximum}`
  if (minimum !== undefined) return `a number of ${minimum} or more`
  if (maximum !== undefined) return `a number of ${maximum} or less`
  if (exclusiveMinimum !== undefined) return `a number above ${exclusiveMinimum}`
  return exclusiveMaximum === undefined ? 'a number' : `a number below ${exclusiveMaximum}`
}

function string(schema: JsonSchema): string {
  const { minLength, maxLength, format, pattern } = schema
  if (typeof schema[REMEDY_MARK] === 'string') return schema[REMEDY_MARK]
  if (typeof format === 'string') return FORMATS[format] ?? `text in the format ${format}`
  if (pattern !== undefined) return `text that matches ${pattern}`
  if (minLength !== undefined && maxLength !== undefined) return `text of ${minLength} to ${maxLength} characters`
  if (minLength !== undefined && minLength !== 1) return `text of ${minLength} characters or more`
  return maxLength === undefined ? 'text' : `text of ${maxLength} characters or less`
}

function list({ minItems, maxItems, items }: JsonSchema): string {
  const of = items && shapeOf(members(items)[0]!) === 'table' ? 'a list of tables' : 'a list'
  const least = minItems === undefined ? '' : ` with ${minItems} or more elements`
  const most = maxItems === undefined ? '' : `${least ? ' and' : ' with'} ${maxItems} or fewer elements`
  return of + least + most
}

function describeValue(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Date) return 'a date'
  if (typeof value === 'string') return 'text'
  if (typeof value === 'number' || typeof value === 'bigint')
    return Number.isInteger(value) ? 'a whole number' : 'a number'
  return typeof value === 'boolean' ? 'a boolean' : 'a table'
}
