/** Checks plain values: text, numbers, booleans, secrets. */
import * as Value from 'typebox/value'
import { Secret } from '../secret.ts'
import { fault, originOf } from './faults.ts'
import { type KeyInput, type ResolveContext, UNREADABLE } from './key-input.ts'
import type { JsonSchema } from './schema-view.ts'
import * as Schema from './schema-view.ts'
import { PARSER } from './schemas.ts'
import { convert, Text } from './text.ts'
import { pemText } from './value-file.ts'
import { type KeywordError, misfit, missing } from './words.ts'

/** Converts the value to the first member of the schema that it fits, and wraps secrets. */
export function leaf(context: ResolveContext, schema: JsonSchema, input: KeyInput): unknown {
  const value = Schema.isPem(schema) ? pemText(context, schema, input) : input.value
  if (value === UNREADABLE) return undefined
  if (value === undefined) return fault(context, input, missing(schema))
  const tried = Schema.members(schema).map((member) => attempt(member, value))
  const fit = tried.find(({ error }) => !error)
  if (fit) return finished(fit.member, fit.value)
  const meant = tried.filter(({ error }) => error?.keyword !== 'type' && error?.keyword !== 'const')
  const only = tried.length === 1 ? tried[0] : meant.length === 1 ? meant[0] : undefined
  if (only) return fault(context, input, misfit(only.member, only.value, only.error!) + originOf(value))
  const shown = value instanceof Text ? value.text : value
  return fault(context, input, misfit(schema, shown, { keyword: 'anyOf', message: '' }) + originOf(value))
}

function attempt(member: JsonSchema, given: unknown) {
  const value = given instanceof Text ? convert(given.text, member) : given
  const error: KeywordError | undefined = Value.Errors(member, value)[0]
  const parse = Schema.parserOf(member)
  return error || !parse ? { member, value, error } : { member, ...parsed(parse, value as string) }
}

function parsed(parse: (text: string) => string, value: string): { value: string; error: KeywordError | undefined } {
  try {
    return { value: parse(value), error: undefined }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return { value, error: { keyword: PARSER, message: error.message } }
  }
}

function finished(member: JsonSchema, value: unknown): unknown {
  return Schema.isSecret(member) ? Object.freeze(new Secret(String(value))) : deepFreeze(value)
}

function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  for (const inner of Object.values(value)) deepFreeze(inner)
  return Object.freeze(value)
}
